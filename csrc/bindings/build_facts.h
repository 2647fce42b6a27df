// What setup.py wrote about the build, for the modules' build_info().
#pragma once
#include <pybind11/pybind11.h>

extern const char* const sn_build_facts[][2];  // (name, value); a null name ends it

inline pybind11::dict build_facts() {
  pybind11::dict facts;
  for (auto fact = sn_build_facts; (*fact)[0]; ++fact) facts[(*fact)[0]] = (*fact)[1];
  facts["python"] = PY_VERSION;
  return facts;
}

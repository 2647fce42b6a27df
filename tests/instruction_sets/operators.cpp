// All operators of csrc/bindings as a program without torch and Python, which an emulated CPU can run: emulated.py calls them.
// It reads calls from stdin, an operator's name and its arguments, and writes the results to stdout; `operators isa` names the
// instruction set in use.
#include "operators.h"

#include <stdio.h>
#include <stdlib.h>

#include <map>

#include "cpu/isa.h"
#include "cpu/parallel.h"
#include "host_tensors.h"

// As for a pool of three threads that wake at once, but one part after the other.
int64_t sn_num_threads() { return 3; }
bool sn_worth_threads(double) { return true; }
void sn_parallel_for(int64_t begin, int64_t end, int64_t, void (*body)(void* context, int64_t begin, int64_t end),
                     void* context) {
  using namespace scratchnet;
  const int64_t part = ceil_div(end - begin, sn_num_threads());
  for (int64_t from = begin; from < end; from += part) body(context, from, min(from + part, end));
}

namespace scratchnet {
namespace {

void read(void* to, int64_t bytes) {
  if ((int64_t)fread(to, 1, bytes, stdin) != bytes) exit(0);  // there are no more calls
}
void write(const void* from, int64_t bytes) { fwrite(from, 1, bytes, stdout); }
void write(int64_t number) { write(&number, sizeof number); }

// The next argument: int64_t, double.
template <class T>
struct Next {
  T value;
  Next() { read(&value, sizeof value); }
};
template <>
struct Next<bool> {
  bool value = Next<int64_t>().value;
};
template <>
struct Next<std::vector<int64_t>> {
  std::vector<int64_t> value = std::vector<int64_t>(Next<int64_t>().value);
  Next() { read(value.data(), value.size() * sizeof(int64_t)); }
};
template <>
struct Next<HostTensor> {
  Next<int64_t> type;
  Next<std::vector<int64_t>> sizes, strides;
  Next<int64_t> elements;
  HostTensor value = HostTensor((Type)type.value, sizes.value, strides.value, elements.value);
  Next() { read(out(value), elements.value * HostTensor::size_of(value.scalar_type())); }
};
template <class T>
struct Next<std::optional<T>> {
  std::optional<T> value = Next<int64_t>().value ? std::optional<T>(Next<T>().value) : std::nullopt;
};

void write_tensors(std::initializer_list<HostTensor> results) {
  write(results.size());
  for (const HostTensor& t : results) {
    const HostTensor ordered = in_order(t);
    write((int64_t)t.scalar_type()), write(t.dim()), write(t.sizes().data(), t.dim() * sizeof(int64_t));
    write(data(ordered), t.numel() * HostTensor::size_of(t.scalar_type()));
  }
}
void write_results(const HostTensor& t) { write_tensors({t}); }
template <class... Tensors>
void write_results(const std::tuple<Tensors...>& results) {
  std::apply([](const auto&... t) { write_tensors({t...}); }, results);
}

template <class Result, class... Arguments>
void call(Result (*operation)(Arguments...)) {
  std::tuple<Next<std::decay_t<Arguments>>...> arguments{Next<std::decay_t<Arguments>>()...};  // braces: from left to right
  try {
    write_results(std::apply([&](auto&... next) { return operation(std::move(next.value)...); }, arguments));
  } catch (const std::exception& error) {
    const std::string text = error.what();
    write(-1), write(text.size()), write(text.data(), text.size());
  }
  fflush(stdout);
}

#define SN_ROW(op) {#op, [] { call(&op<HostTensor>); }},
const std::map<std::string, void (*)()> ROWS = {SN_OPERATORS(SN_ROW)};

}  // namespace
}  // namespace scratchnet

int main(int count, char**) {
  using namespace scratchnet;
  if (count > 1) return puts(isa_name(isa())) < 0;
  for (;;) {
    std::string name(Next<int64_t>().value, ' ');
    read(name.data(), name.size());
    ROWS.at(name)();
  }
}

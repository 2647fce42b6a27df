"""Compile the tree of `make hub` as Hugging Face's kernel-builder does, which needs Nix: by the sections of its build.toml."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tomllib
import torch

TORCH = Path(torch.__file__).parent
# What kernel-builder puts beside the sources, in as many words as the tree needs.
REGISTRATION = """
#pragma once
#include <Python.h>
#define SN_JOIN_(a, b) a##b
#define SN_JOIN(a, b) SN_JOIN_(a, b)
#define SN_TEXT_(a) #a
#define SN_TEXT(a) SN_TEXT_(a)
#define STABLE_TORCH_LIBRARY_EXPAND(name, module) STABLE_TORCH_LIBRARY(name, module)
#define STABLE_TORCH_LIBRARY_IMPL_EXPAND(name, device, module) STABLE_TORCH_LIBRARY_IMPL(name, device, module)
#define REGISTER_EXTENSION(name)                                                                        \\
  PyMODINIT_FUNC SN_JOIN(PyInit_, name)() {                                                             \\
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, SN_TEXT(name), nullptr, 0, nullptr};     \\
    return PyModule_Create(&module);                                                                    \\
  }
"""
OPS = """import torch

from . import {name}

ops = torch.ops.{name}


def add_op_namespace_prefix(op_name: str) -> str:
    return f"{name}::{{op_name}}"
"""


def build(tree: Path, *more_flags: str) -> Path:
    """The folder of the variant that this torch loads, with the package in it; more_flags come after those of build.toml."""
    config = tomllib.loads((tree / "build.toml").read_text())
    general, abi = config["general"], config["torch"]["stable-abi"]
    package = general["name"].replace("-", "_")
    name = f"_{package}_cpu_{hashlib.sha1(str(tree).encode()).hexdigest()[:7]}"
    version = "".join(f"{int(part):02x}" for part in abi.split(".")).ljust(16, "0")
    variant = tree / "build" / f"torch-stable-abi{abi.replace('.', '')}-cpu-{platform.machine()}-linux"
    (tree / "registration.h").write_text(REGISTRATION)
    common = ["-std=c++20", "-fPIC", f"-DTORCH_EXTENSION_NAME={name}", f"-DTORCH_TARGET_VERSION=0x{version}", "-DCPU_KERNEL"]
    common += ["-DPy_LIMITED_API=0x03090000", f"-I{TORCH / 'include'}", f"-I{sysconfig.get_path('include')}", "-I."]

    def compiled(job: tuple[dict, str]) -> str:
        section, source = job
        target = f"{source}.o"
        flags = [*common, *(f"-I{folder}" for folder in section["include"]), *section["cxx-flags"], *more_flags]
        run = subprocess.run(["g++", *flags, "-c", source, "-o", target], cwd=tree, capture_output=True, text=True)
        assert not run.returncode, run.stderr
        return target

    sections = [config["torch"], *config["kernel"].values()]
    jobs = [(section, source) for section in sections for source in section["src"] if source.endswith(".cpp")]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        objects = list(pool.map(compiled, jobs))

    target = variant / package
    target.mkdir(parents=True)
    for file in (tree / "torch-ext" / package).glob("*.py"):
        (target / file.name).write_text(file.read_text())
    (target / "_ops.py").write_text(OPS.format(name=name))
    link = ["g++", "-shared", *objects, "-lstdc++", f"-L{TORCH / 'lib'}", "-Wl,--as-needed", "-ltorch_cpu", "-ldl"]
    subprocess.run([*link, "-o", str(target / f"{name}.abi3.so")], cwd=tree, check=True)
    digest = lambda path: base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
    metadata = {key: general[key] for key in ("name", "version", "license")}
    metadata |= {"id": name, "backend": {"type": "cpu"}, "python-depends": []}
    files = {str(path.relative_to(variant)): digest(path) for path in variant.rglob("*") if path.is_file()}
    metadata["digest"] = {"algorithm": "sha256", "files": files}
    (variant / "metadata.json").write_text(json.dumps(metadata))
    return variant

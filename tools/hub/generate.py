"""Writes a source tree for kernel-builder of Hugging Face: C++ kernels of the best rungs, and layers that other models adopt.

    python tools/hub/generate.py     into build/hub/scratchnet-layers

What is written by hand lies in tools/hub/tree. The rest follows from csrc, setup.py and scratchnet.ops: copies of the kernels,
their operators under a namespace of their own, and build.toml, which says how each file is compiled.
"""

from __future__ import annotations

import json
import re
import runpy
import shutil
from pathlib import Path

from scratchnet.ops import OPS

ROOT = Path(__file__).resolve().parents[2]
CSRC, TREE = ROOT / "csrc", Path(__file__).resolve().parent / "tree"
SETUP = runpy.run_path(str(ROOT / "setup.py"))
NAME = "scratchnet-layers"
VERSION = 0  # on the Hub a whole number: 0 says that it may still change
OPERATORS = (
    "layer_norm",
    "rms_norm",
    "add_layer_norm",
    "gelu",
    "geglu",
    "glu",
    "cross_entropy",
    "linear_cross_entropy",
    "embedding",
)
SUPPORT = ("cpu/isa.cpp", "cpu/memory.cpp", "cpu/pages.cpp", "bindings/parallel.cpp")
FLAGS = ["-O3", "-fvisibility=hidden", "-Wno-psabi", *SETUP["KERNEL_FLAGS"]]

Isas = dict[str, list[str]]  # instruction set -> its flags, as in setup.py


def included(source: Path) -> set[Path]:
    """The files of csrc that a source needs, itself among them."""
    found, todo = set(), [source]
    while todo:
        path = todo.pop()
        found.add(path)
        for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
            todo += [file for file in (path.parent / name, CSRC / name) if file.exists() and file.resolve() not in found][:1]
    return found


def bindings() -> list[Path]:
    """The headers that define OPERATORS."""
    headers = sorted((CSRC / "bindings").glob("*_ops.h"))
    return [path for path in headers if set(re.findall(r"X\((\w+)_forward\)", path.read_text())) & set(OPERATORS)]


def ladder() -> dict[str, list[Path]]:
    """Folder of csrc/cpu -> the file of each rung; where none calls a rung, that of the next one that is there."""
    tables = {path.stem for header in bindings() for path in included(header) if path.parent == CSRC / "ops"}
    rungs = {name: files for name, files in SETUP["rungs"]("cpu").items() if name in tables}
    for name, files in rungs.items():
        used, todo = set(), [len(files)]
        while todo:
            used.add(rung := todo.pop())
            text = files[rung - 1].read_text()
            todo += {int(below) for below in re.findall(rf"\b{name}_kernels\((\d+)\)", text)} - used
        rungs[name] = [files[min(rung for rung in used if rung > at) - 1] for at in range(len(files))]
    return rungs


def binding() -> str:
    """torch-ext/torch_binding.cpp: OPERATORS with the schemas of scratchnet.ops, in the namespace that kernel-builder names."""
    longest = max(map(len, ladder().values()))
    schema = {name: OPS[name].schema("forward").replace("int rung)", f"int rung={longest})") for name in OPERATORS}
    return "\n".join(
        [
            '#include "bindings/cpu_tensors.h"',
            *(f'#include "bindings/{header.name}"' for header in bindings()),
            '#include "registration.h"',
            "",
            "namespace scratchnet {",
            "",
            "STABLE_TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {",
            *(f"  m.def({json.dumps(name + text)});" for name, text in schema.items()),
            "}",
            "",
            "STABLE_TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CPU, m) {",
            *(f'  m.impl("{name}", TORCH_BOX(&{name}_forward<Tensor>));' for name in OPERATORS),
            "}",
            "",
            "}  // namespace scratchnet",
            "",
            "REGISTER_EXTENSION(TORCH_EXTENSION_NAME)",
            "",
        ]
    )


def sources(isas: Isas) -> dict[str, dict[str, str | None]]:
    """Section of build.toml -> its files in the tree -> their text; None: as in the clone."""
    copied = lambda paths: dict.fromkeys(sorted(str(path.resolve().relative_to(ROOT)) for path in paths))
    rungs = sorted({file for files in ladder().values() for file in files})
    support = [CSRC / name for name in SUPPORT]
    headers = {path for file in (*rungs, *support, *bindings(), CSRC / "bindings/cpu_tensors.h") for path in included(file)}
    first, *others = isas
    sections = {
        "torch": {"torch-ext/torch_binding.cpp": binding(), **copied(path for path in headers if path.suffix == ".h")},
        "support": {**copied(support), "csrc/ladders.cpp": SETUP["ladders"]("cpu", ladder(), isas)},
        first: copied(rungs),
    }
    for isa in others:  # a build compiles a file once: every other instruction set has files of its own
        again = {file: str(file.relative_to(CSRC)) for file in rungs if isa in SETUP["copies"](file, isas)}
        sections[isa] = {f"csrc/{isa}/{file.parent.name}_{file.name}": f'#include "{name}"\n' for file, name in again.items()}
    return sections


def build_toml(isas: Isas) -> str:
    target = re.search(r"0x(\w\w)(\w\w)", SETUP["TORCH_TARGET"])
    general = {"name": NAME, "version": VERSION, "edition": 5, "license": "bsd-3-clause", "backends": ["cpu"]}
    tables = {"general": general}
    for section, files in sources(isas).items():
        common = {"src": list(files), "include": ["csrc"], "cxx-flags": FLAGS}
        if section == "torch":
            tables["torch"] = {**common, "stable-abi": ".".join(str(int(part, 16)) for part in target.groups())}
        else:
            flags = [f"-DSN_ISA={section}", *isas[section]] if section in isas else []
            tables[f"kernel.{section}"] = {"backend": "cpu", "depends": ["torch"], **common, "cxx-flags": FLAGS + flags}
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


def generate(folder: Path, isas: Isas = SETUP["ISA_FLAGS"]) -> None:
    """Write the tree into a new folder."""
    shutil.copytree(TREE, folder)
    shutil.copy(ROOT / "LICENSE", folder)
    (folder / "build.toml").write_text(build_toml(isas))
    for files in sources(isas).values():
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text((ROOT / name).read_text() if text is None else text)


if __name__ == "__main__":
    where = ROOT / "build" / "hub" / NAME
    shutil.rmtree(where, ignore_errors=True)
    generate(where)
    print(f"{where}: {sum(path.is_file() for path in where.rglob('*'))} files")

"""The tree of `make hub` keeps the rules of Hugging Face's kernels, compiles by itself, and its layers compute what torch's do.

The rules: https://huggingface.co/docs/kernels, "Kernel requirements" and "Writing kernels".
"""

from __future__ import annotations

import ast
import os
import re
import runpy
import site
import subprocess
import sys
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="reads TOML, which Python 3.11 and later can")

ROOT = Path(__file__).resolve().parents[2]
GENERATE = ROOT / "tools" / "hub" / "generate.py"
if not GENERATE.exists():
    pytest.skip("the generator is in a clone", allow_module_level=True)
hub = runpy.run_path(str(GENERATE))
ISAS = hub["SETUP"]["ISA_FLAGS"]
PACKAGE = "torch-ext/scratchnet_layers"
VARIABLES = {"has_backward", "can_torch_compile"}  # the only ones that a layer may have


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tree"
    hub["generate"](folder)
    return folder


@pytest.fixture(scope="module")
def config(tree) -> dict:
    return tomllib.loads((tree / "build.toml").read_text())


def test_build_toml(tree, config):
    general, torch = config["general"], config["torch"]
    assert set(config) == {"general", "torch", "kernel"}
    assert set(general) == {"name", "version", "edition", "license", "backends"} and general["edition"] == 5
    assert re.fullmatch(r"[a-z][-a-z0-9]*[a-z0-9]", general["name"])
    assert (tree / PACKAGE).name == general["name"].replace("-", "_")
    assert f"torch>={torch['stable-abi']}" in (ROOT / "pyproject.toml").read_text()
    for section in config["kernel"].values():
        assert set(section) == {"backend", "depends", "src", "include", "cxx-flags"}
        assert (section["backend"], section["depends"]) == ("cpu", ["torch"])
    assert set(config["kernel"]) == {"support", *ISAS}
    for isa, flags in ISAS.items():
        assert config["kernel"][isa]["cxx-flags"] == [*hub["FLAGS"], f"-DSN_ISA={isa}", *flags]


def test_every_source_is_there_and_in_one_section(tree, config):
    listed = [name for section in (config["torch"], *config["kernel"].values()) for name in section["src"]]
    assert len(listed) == len(set(listed))
    there = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.suffix in (".h", ".cpp")}
    assert set(listed) == there
    for name in listed:
        for wanted in re.findall(r'^#include "([^"]+)"', (tree / name).read_text(), re.MULTILINE):
            near = (tree / name).parent / wanted
            assert wanted == "registration.h" or near.exists() or (tree / "csrc" / wanted).exists(), (name, wanted)
    kernels = {name for name in listed if re.match(r"csrc/cpu/\w+/\d_", name)}
    assert all((tree / name).read_bytes() == (ROOT / name).read_bytes() for name in kernels) and len(kernels) >= 6


def test_python_is_portable(tree):
    """Python 3.9; imports of torch, of the standard library and of itself, relative; no name of an operator's namespace."""
    for path in (tree / PACKAGE).glob("*.py"):
        module = ast.parse(path.read_text(), feature_version=(3, 9))
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                names = []
            for name in names:
                assert name.split(".")[0] in {"torch", *sys.stdlib_module_names}, (path.name, name)
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("torch.library."):
                assert [ast.unparse(argument.func) for argument in node.args] == ["add_op_namespace_prefix"]
        assert "torch.ops" not in path.read_text() and "::" not in path.read_text()
    assert set(re.findall(r"LIBRARY\w*\((\w+)", (tree / "torch-ext/torch_binding.cpp").read_text())) == {"TORCH_EXTENSION_NAME"}
    assert "from . import layers" in (tree / PACKAGE / "__init__.py").read_text()


def test_layers_are_pure(tree):
    """Subclasses of Module that define nothing but forward and say what they cannot do."""
    layers = [node for node in ast.parse((tree / PACKAGE / "layers.py").read_text()).body if isinstance(node, ast.ClassDef)]
    assert len(layers) == 9
    for layer in layers:
        assert [ast.unparse(base) for base in layer.bases] == ["nn.Module"]
        body = [node for node in layer.body if not isinstance(node, ast.Expr)]
        assert [node.name for node in body if not isinstance(node, ast.AnnAssign)] == ["forward"], layer.name
        values = {ast.unparse(node.target): node.value for node in body if isinstance(node, ast.AnnAssign) and node.value}
        assert set(values) == VARIABLES and values["has_backward"].value is False


def test_card(tree, config):
    """The head that the Hub reads: YAML of the library and a license that it knows, the one of build.toml."""
    head = (tree / "CARD.md").read_text().split("---\n")[1]
    facts = dict(line.split(": ") for line in head.splitlines() if ": " in line)
    assert facts == {"library_name": "kernels", "license": config["general"]["license"]}
    assert (tree / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def run_tests(tree: Path, python: object, variant: Path) -> str:
    """The tree's own tests, which pytest finds outside of ours."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHONPATH"))}
    command = [python, "-m", "pytest", "-q", "-W", "ignore", "--rootdir", ".", "-c", os.devnull, "tests"]
    run = subprocess.run(command, cwd=tree, env={**settings, "PYTHONPATH": str(variant)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.full
def test_layers_compute_what_torchs_do(tmp_path):
    """Compiled for the first instruction set alone, and not optimised."""
    from hub.build import build

    first = next(iter(ISAS))
    hub["generate"](tmp_path / "tree", {first: ISAS[first]})
    report = run_tests(tmp_path / "tree", sys.executable, build(tmp_path / "tree", "-O0"))
    assert int(re.search(r"(\d+) passed", report)[1]) >= 30


LOADER = """
import sys
from pathlib import Path

from kernels import get_local_kernel
from kernels._rust import Build

TREE = Path(__file__).resolve().parents[1]
assert [str(backend) for backend in Build.open(TREE).general.backends] == ["cpu"]  # its own parser of build.toml
sys.modules["scratchnet_layers"] = get_local_kernel(TREE)
"""


@pytest.mark.slow
def test_the_kernels_package_loads_it(tmp_path):
    """As `make hub` writes it. In an environment of its own, because the package has the name of a folder of the clone."""
    from hub.build import build

    tree, environment = tmp_path / "tree", tmp_path / "env"
    hub["generate"](tree)
    build(tree)
    (tree / "tests" / "conftest.py").write_text(LOADER)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet", "kernels>=0.17")
    subprocess.run(pip, cwd=tmp_path, check=True)
    next((environment / "lib").glob("python*/site-packages")).joinpath("borrowed.pth").write_text(
        "\n".join(site.getsitepackages())
    )
    report = run_tests(tree, environment / "bin" / "python", tmp_path)
    assert int(re.search(r"(\d+) passed", report)[1]) >= 30

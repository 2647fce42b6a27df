"""What make says where a step fails, and a build as it begins; and one that was interrupted goes on where it stopped."""

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "Makefile").exists():
    pytest.skip("the Makefile is in a clone", allow_module_level=True)


def failing_make(folder: Path, *arguments: str) -> str:
    """What the Makefile, alone in a folder, says when it fails."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "csrc").mkdir()
    for name in ("constraints.txt", "setup.py", "pyproject.toml"):
        (folder / name).touch()
    run = subprocess.run(["make", "build", *arguments], cwd=folder, capture_output=True, text=True)
    assert run.returncode != 0, run.stdout
    return run.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing: apt install make")
def test_a_python_without_venv_is_told_what_to_install(tmp_path):
    said = failing_make(tmp_path, "PYTHON=false")
    assert said.startswith("make: to mend it on Debian and Ubuntu: sudo apt install python3-venv\n")


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing: apt install make")
@pytest.mark.parametrize("there", [[], [".tools"]], ids=["requirements", "package"])
def test_a_download_that_fails_is_begun_again_by_the_same_command(there, tmp_path):
    bin = tmp_path / "programs"
    bin.mkdir()
    (bin / "pip").write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    (bin / "python").write_text("#!/bin/sh\n")
    for program in bin.iterdir():
        program.chmod(0o755)
    (tmp_path / ".venv").mkdir()
    said = failing_make(tmp_path, "PYTHON=true", "BIN=./programs", *(f"--old-file=.venv/{name}" for name in there))
    assert said.startswith("no network\nmake: once the network or the disk is mended: make build goes on\n"), said


def test_a_compiler_that_does_not_start_is_quoted_with_what_mends_it(tmp_path):
    """As on a Mac whose g++ only asks for Xcode's command-line tools."""
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\necho no developer tools were found >&2\nexit 1\n")
    compiler.chmod(0o755)
    setup = runpy.run_path(str(ROOT / "setup.py"))
    with pytest.raises(setup["BuildFailure"], match=r"does not start .*: install one \(e\.g\. `sudo apt install") as failure:
        setup["compiler_version"]([str(compiler)])
    assert failure.value.details == "no developer tools were found\n"
    with pytest.raises(setup["BuildFailure"], match="`nothing` does not start"):
        setup["compiler_version"](["nothing"])


@pytest.mark.parametrize(
    "name, facts, said",
    [
        ("_C", {"isas": "baseline avx2"}, "C++ kernels for baseline avx2, 2 at a time: some 3 minutes. SCRATCHNET_BUILD=0"),
        ("_cuda", {"architectures": "sm_90"}, "CUDA kernels for sm_90, 2 at a time. SCRATCHNET_CUDA=0"),
    ],
)
def test_a_long_build_says_what_it_compiles_and_how_to_leave_it_out(name, facts, said, capsys, monkeypatch):
    setup = runpy.run_path(str(ROOT / "setup.py"))
    monkeypatch.setitem(setup["announce"].__globals__, "job_count", lambda: 2)
    monkeypatch.setitem(setup["announce"].__globals__, "CXX_SECONDS", 1.5)
    plan = lambda steps: "".join(f"[{step}/{steps + 1}] csrc/{step}.o\n" for step in range(1, steps + 1)) + "[9/9] module.so\n"
    module = setup["Module"](name, facts, {}, {}, [], ([], []))
    setup["announce"](module, plan(240))
    told = f"scratchnet: 240 steps compile the {said} leaves them out. Interrupted, the same command goes on.\n"
    assert capsys.readouterr().out == told
    setup["announce"](module, plan(20))
    assert not capsys.readouterr().out


COMPILER = """#!/bin/sh
# Write what comes after -o; for c.cpp, the first time, end ninja as Ctrl+C does.
for target; do :; done
echo "$target" >> calls
case $target in c.o) [ -e interrupted ] || { touch interrupted; kill -INT $PPID; sleep 1; };; esac
touch "$target"
"""


def test_an_interrupted_build_goes_on(tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    setup = runpy.run_path(str(ROOT / "setup.py"))
    monkeypatch.setitem(setup["build"].__globals__, "ROOT", tmp_path)
    monkeypatch.setenv("MAX_JOBS", "1")
    rows = [(f"{name}.o", "compile", tmp_path / f"{name}.cpp", []) for name in "abcd"]
    for _, _, source, _ in rows:
        source.touch()
    module = setup["Module"]("some", {"compiler": "a compiler"}, {}, {"compile": [str(compiler)]}, rows, ([str(compiler)], []))
    setup["WHAT"]["some"] = "C++ kernels"
    with pytest.raises(setup["BuildFailure"]):
        setup["build"](module)
    target = setup["build"](module)
    calls = (target.parent / "calls").read_text().split()
    assert calls[:2] == ["a.o", "b.o"] and calls[2:] == ["c.o", "c.o", "d.o", target.name]


def test_an_environment_beside_the_clone_keeps_its_path(tmp_path, monkeypatch):
    clone, compiler = tmp_path / "clone", tmp_path / "compiler"
    clone.mkdir()
    compiler.write_text('#!/bin/sh\nfor target; do :; done\necho "$*" > "$target"\n')
    compiler.chmod(0o755)
    setup = runpy.run_path(str(ROOT / "setup.py"))
    monkeypatch.setitem(setup["build"].__globals__, "ROOT", clone)
    (clone / "a.cpp").touch()
    outside = [f"-I{clone}-env/include", f"-I{tmp_path}/deeper{clone}/include", f"-L{clone}.env/lib"]
    row = ("a.o", "compile", clone / "a.cpp", [*outside, f"-I{clone}/csrc", f"-ffile-prefix-map={clone}/="])
    module = setup["Module"]("some", {"compiler": "a compiler"}, {}, {"compile": [str(compiler)]}, [row], ([str(compiler)], []))
    called = (setup["build"](module).parent / "a.o").read_text()
    assert f" {' '.join(outside)} -I../../csrc -ffile-prefix-map=../../= " in called
    assert called.endswith("-c ../../a.cpp -o a.o\n")

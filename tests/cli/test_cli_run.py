"""`scratchnet run` starts a program in the environment that it prints, and keeps what the user has set."""

import os
import subprocess
import sys

import pytest

from scratchnet import profile
from scratchnet.cli import main, run

OWN = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE", run.PRELOAD)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Four free cores, and none of the variables set."""
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(run, "physical_cores", lambda: {0, 1, 2, 3})
    monkeypatch.setattr(profile, "cores", lambda: 4)
    monkeypatch.setattr(run, "_quota", lambda: None)
    monkeypatch.setattr(run.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(run.ctypes.util, "find_library", lambda name: None)


def printed(capsys) -> tuple[dict, str]:
    """The environment, and what was said about it."""
    assert main(["run", "--dry-run"]) == 0
    out, said = capsys.readouterr()
    return dict(line.split("=") for line in out.splitlines()), said


def test_free_cores(capsys):
    environment, said = printed(capsys)
    assert environment == {"OMP_NUM_THREADS": "4", "OMP_WAIT_POLICY": "active", "THP_MEM_ALLOC_ENABLE": "1"}
    assert "OMP_NUM_THREADS=4: 4 physical cores that this process may use" in said
    assert all(name in said for name in environment)


def test_a_busy_machine_is_shared(capsys, monkeypatch):
    monkeypatch.setattr(run.os, "getloadavg", lambda: (3.1, 0.0, 0.0))
    environment, said = printed(capsys)
    assert environment["OMP_WAIT_POLICY"] == "passive"
    assert "other programs kept 3.1 of 4 cores busy in the last minute" in said


def test_a_quota_limits_the_threads_and_means_sharing(capsys, monkeypatch):
    monkeypatch.setattr(run, "_quota", lambda: 2.5)
    environment, said = printed(capsys)
    assert (environment["OMP_NUM_THREADS"], environment["OMP_WAIT_POLICY"]) == ("2", "passive")
    assert "the control group grants 2.5 of 4 cores" in said


def test_an_installed_allocator_is_preloaded(capsys, monkeypatch):
    monkeypatch.setattr(run.ctypes.util, "find_library", {"tcmalloc": "libtcmalloc.so.4"}.get)
    environment, said = printed(capsys)
    assert environment[run.PRELOAD] == "libtcmalloc.so.4" and "an allocator" in said


def test_what_the_user_has_set_is_kept(capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "")
    environment, said = printed(capsys)
    assert (environment["OMP_NUM_THREADS"], environment["THP_MEM_ALLOC_ENABLE"]) == ("3", "")
    assert "OMP_NUM_THREADS=3 is kept, as you set it" in said


def test_one_processor_of_each_core(monkeypatch, capsys):
    monkeypatch.setattr(profile, "cores", lambda: 8)
    assert "on processors 0,1,2,3: one for each physical core" in printed(capsys)[1]
    monkeypatch.setattr(run.os, "getloadavg", lambda: (8.0, 0.0, 0.0))
    assert "on processors" not in printed(capsys)[1]


@pytest.mark.parametrize(("text", "quota"), [("max 100000\n", None), ("150000 100000\n", 1.5)])
def test_the_quota_of_a_control_group(text, quota, monkeypatch, tmp_path):
    monkeypatch.undo()
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(run, "CGROUPS", tmp_path)
    assert run._quota() == quota


def test_nothing_to_run():
    with pytest.raises(SystemExit, match="name a program"):
        main(["run"])


SCRIPT = """
import json, os, sys
print(json.dumps([sys.argv[1:], {name: os.environ.get(name) for name in %r}]))
sys.exit(7)
"""


@pytest.mark.parametrize("as_module", (False, True))
def test_arguments_environment_and_exit_code_pass_through(as_module, tmp_path):
    (tmp_path / "program.py").write_text(SCRIPT % (OWN,))
    program = ["-m", "program"] if as_module else [str(tmp_path / "program.py")]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "PYTHONPATH": os.pathsep.join([os.getcwd(), str(tmp_path)])}
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-m", "scratchnet", "run", *program, "--lr", "1", "-m", "x", "--dry-run"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 7, ran.stderr
    arguments, got = __import__("json").loads(ran.stdout)
    assert arguments == ["--lr", "1", "-m", "x", "--dry-run"]
    assert int(got["OMP_NUM_THREADS"]) >= 1 and got["OMP_WAIT_POLICY"] == "passive" and got["THP_MEM_ALLOC_ENABLE"] == "1"
    assert "scratchnet run: OMP_WAIT_POLICY=passive is kept, as you set it" in ran.stderr

"""`scratchnet info` says what is there, what runs and what is missing."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import scratchnet
from scratchnet import _compiled, backends, profile
from scratchnet.cli import info, main
from scratchnet.ops import BACKENDS, OPS, PRIMITIVES


def facts(capsys) -> dict:
    assert main(["info", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def words(capsys) -> str:
    """The tables without their lines, so that wrapped cells do not matter."""
    assert main(["info"]) == 0
    return " ".join(word for word in capsys.readouterr().out.split() if word.strip("│┃"))


def test_json_is_the_grid(capsys):
    got = facts(capsys)
    assert {row["op"]: row["backend"] for row in got["operators"]} == dict.fromkeys(OPS, backends.default())
    why = {name: backends.missing("cpp") or profile.why(name) for name in OPS}
    assert {row["op"]: row["why"] for row in got["operators"]} == why
    assert {name: column["missing"] for name, column in got["backends"].items()} == {n: backends.missing(n) for n in BACKENDS}
    assert got["running"]["threads"] == torch.get_num_threads()
    assert got["running"]["torch"] == torch.__version__


def test_a_clone_names_its_own_commit(capsys):
    """Not the one that was built last."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or not shutil.which("git"):
        pytest.skip("not in a clone")
    command = ("git", "rev-parse", "--short", "HEAD")
    head = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    assert facts(capsys)["running"]["commit"].removesuffix("+") == head


def test_tables_name_every_operator_and_every_rung(capsys):
    text = words(capsys)
    assert all(name in text for name in (*OPS, *PRIMITIVES, *BACKENDS))
    assert all(idea in text for idea in OPS["gelu"].rungs("cpp"))
    assert torch.__version__ in text


@pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")
def test_compiled_module_is_described(capsys):
    got, build, cpu = facts(capsys), _compiled.module.build_info(), _compiled.module.cpu_info()
    assert got["compiled"] == build
    assert got["running"]["isa"] == cpu["isa"]
    text = words(capsys)
    assert build["compiler"] in text and cpu["isa"] in text


def test_missing_module_is_explained(capsys, monkeypatch):
    monkeypatch.setattr(_compiled, "module", None)
    monkeypatch.setattr(_compiled, "reason", "There is no compiler. To build it: pip install it")
    monkeypatch.setattr(_compiled, "details", "g++: not [found]")
    got = facts(capsys)
    assert got["backends"]["cpp"]["missing"] == _compiled.reason
    assert {row["backend"] for row in got["operators"]} == {"torch"}
    text = words(capsys)
    assert "There is no compiler." in text and "g++: not [found]" in text


@pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")
def test_what_decided_is_said_from_where_and_when(capsys, monkeypatch, tmp_path):
    """And which profile does not fit."""
    monkeypatch.delenv("SCRATCHNET_PROFILE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measured = {**profile.here(), "date": "2026-01-02", "cores": 999}
    profile.write(profile.Profile(measured, {}), profile.cached())
    profile.forget()
    try:
        got, text = facts(capsys), words(capsys)
    finally:
        monkeypatch.undo()
        profile.forget()
    shipped = profile.read(profile.SHIPPED / f"{profile.isa()}-{profile.policy()}.json")
    source = f"shipped {profile.isa()}-{profile.policy()} profile, {shipped.measured['date']}"
    assert got["running"]["profile"] == source
    known = {key.op for key in shipped.figures}
    assert all(row["why"].endswith(f"({source})") for row in got["operators"])
    assert all(("forward" if row["op"] in known else "not measured") in row["why"] for row in got["operators"])
    assert "cores was 999 when it was measured" in got["running"]["profiles_ignored"][0]
    assert "cores was 999 when it was measured" in text and source in text


def test_named_backend_is_said_to_run(capsys):
    with scratchnet.backend("numpy"):
        got = facts(capsys)
    assert {row["backend"] for row in got["operators"]} == {"numpy"}
    assert got["running"]["backend_named"] == "numpy"


def test_missing_packages_come_with_their_command(capsys, monkeypatch):
    installed = info._version
    monkeypatch.setattr(info, "_version", lambda name: None if name == "scikit-learn" else installed(name))
    versions = {row["package"]: row["version"] for row in facts(capsys)["packages"]}
    assert versions["scikit-learn"] is None
    assert versions["pytest"] == pytest.__version__
    assert "pip install scikit-learn" in words(capsys)

"""The Dockerfile and the development container say what the other files say; its commands are run here, in a fresh venv."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "Dockerfile").exists():
    pytest.skip("the Dockerfile is in a clone", allow_module_level=True)
LINES = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]


def instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ") for line in LINES if line.startswith(f"{name} ")]


def test_it_says_what_the_other_files_say():
    base, stage = instructions("FROM")
    python = re.fullmatch(r"python:(3\.\d+)-slim-\w+ AS (\w+)", base)
    assert stage == python[2]
    workflow = (ROOT / ".github/workflows/test.yml").read_text()
    assert f'python-version: "{python[1]}"' in workflow
    index = dict(line.split("=") for line in instructions("ENV"))["PIP_EXTRA_INDEX_URL"]
    assert f"PIP_EXTRA_INDEX_URL: {index} " in workflow
    system, requirements, install = instructions("RUN")
    for needed in re.findall(r"command -v (g\+\+|make)", (ROOT / ".ci/run").read_text()):
        assert f" {needed} " in system
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    name = lambda requirement: re.match(r"[\w-]+", requirement)[0]
    assert {*map(name, project["build-system"]["requires"]), "numpy"} == {*map(name, shlex.split(requirements)[4:])}
    assert shlex.split(requirements)[:4] == ["pip", "install", "--constraint", "constraints.txt"]
    *_, option, what = shlex.split(install)
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(f"pip install {option} {what.partition('[')[0]}" in page.read_text() for page in pages)


def test_nothing_that_is_built_here_gets_into_the_image():
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    entries = (ROOT / ".dockerignore").read_text().split()
    assert {entry.removeprefix("**/") for entry in entries} - {".git"} <= ignored and {".venv", "build", "**/*.so"} <= {
        *entries
    }


def test_the_development_container_is_a_stage_of_it():
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text())
    build = settings["build"]
    assert (folder / build["dockerfile"]).resolve() == ROOT / "Dockerfile" and (folder / build["context"]).resolve() == ROOT
    assert f" AS {build['target']}" in instructions("FROM")[0]
    command, target = settings["postCreateCommand"].split()
    assert command == "make" and f"\n{target}: " in (ROOT / "Makefile").read_text()
    interpreter = settings["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert (
        interpreter == "${containerWorkspaceFolder}/.venv/bin/python"
        and "BIN := .venv/bin\n" in (ROOT / "Makefile").read_text()
    )


@pytest.mark.slow
def test_what_it_runs(tmp_path):
    """Its commands in a copy of what the image holds, with the objects that were compiled here, so that this takes a minute."""
    image, python = tmp_path / "scratchnet", tmp_path / "python"
    unwanted = shutil.ignore_patterns(".git", ".venv", "dist", "*.so", "__pycache__", "torch-*")
    shutil.copytree(ROOT, image, ignore=unwanted)
    subprocess.run([sys.executable, "-m", "venv", python], check=True)
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHONPATH", "SCRATCHNET"))}
    settings["PATH"] = f"{python}/bin:{settings['PATH']}"
    for command in instructions("RUN")[1:]:  # the first one installs Debian packages
        run = subprocess.run(command, shell=True, cwd=image, env=settings, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
    run = subprocess.run(json.loads(*instructions("CMD")), cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert run.returncode == 0 and "avx2" in run.stdout + "neon", run.stdout + run.stderr
    for command in (["scratchnet", "verify", "gelu", "--backend", "cpp"], ["scratchnet", "train", "digits", "--epochs", "1"]):
        subprocess.run(command, cwd=tmp_path, env=settings, check=True)

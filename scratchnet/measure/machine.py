"""What a measurement or a bug report has to name: the machine, the versions and the settings of this process."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

import torch

import scratchnet
from scratchnet import _compiled, profile

_ROOT = Path(__file__).resolve().parents[2]  # the clone, unless the package is installed


def facts(device: str = "cpu") -> dict[str, str | int]:
    """Name -> value, ready for a table or a CSV; "" where there is nothing to say. device: the one that is measured."""
    build = _compiled.module.build_info() if _compiled.module else {}
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": _processor() if device == "cpu" else torch.cuda.get_device_name(),
        "cores": profile.cores(),
        "threads": torch.get_num_threads(),
        "isa": profile.isa(),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", ""),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scratchnet": scratchnet.__version__,
        "commit": _commit() or build.get("commit", ""),
        "compiler": build.get("compiler", ""),
    }


def measured(facts: dict[str, str | int], device: str) -> str:
    """The sentence that goes under a table of figures."""
    cpu = (
        f"{facts['threads']} of {facts['cores']} cores, instruction set {facts['isa'] or 'none (not compiled)'}, "
        f"OMP_WAIT_POLICY {facts['OMP_WAIT_POLICY'] or 'not set'}"
    )
    return (
        f"Measured {facts['date']} on {facts['machine']}, {cpu if device == 'cpu' else 'timed by its events'}; "
        f"torch {facts['torch']}, scratchnet {facts['scratchnet']}, commit {facts['commit'] or 'unknown'}."
    )


def kind() -> str:
    """What a kernel's speed relative to torch's depends on, for CPU tensors: figures from machines of one kind compare."""
    processor = profile.cpuinfo()
    family = f" family {processor['cpu family']}" if "cpu family" in processor else ""
    own = facts()
    return (
        f"{processor.get('vendor_id') or platform.machine()}{family}, {own['isa'] or 'not compiled'} "
        f"beside torch's {torch.backends.cpu.get_cpu_capability()}, {own['threads']} threads, "
        f"OMP_WAIT_POLICY {own['OMP_WAIT_POLICY'] or 'not set'}, torch {own['torch']}"
    )


def _processor() -> str:
    return profile.cpuinfo().get("model name") or platform.processor() or platform.machine()


def _commit() -> str:
    """The commit of the clone that the package runs from, with "+" if files differ from it; "" outside a clone."""
    if not (_ROOT / ".git").exists():
        return ""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"], cwd=_ROOT, capture_output=True, text=True
        )
    except OSError:  # no git
        return ""
    return answer.stdout.strip()

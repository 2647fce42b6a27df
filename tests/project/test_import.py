"""`import scratchnet` stays short: it imports nothing heavy that torch has not imported."""

import json
import subprocess
import sys

HEAVY = {"rich", "matplotlib", "triton", "torch._dynamo", "torch._inductor", "sympy", "sklearn", "scipy", "pandas"}
PROGRAM = """
import json, sys
import torch
before = set(sys.modules)
import scratchnet
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_nothing_heavy_is_imported():
    new = set(json.loads(subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout))
    assert "scratchnet.functions.gelu" in new  # the list is one
    assert not HEAVY & new
    rooms = {f"scratchnet.{room}" for room in ("kernels", "numpy", "data", "training", "course", "checker", "measure", "cli")}
    assert not rooms & new  # of ours: what is imported on first use

"""What the usual test says to the kernels of the zoo: one size, normal numbers, one look at the result by torch.allclose.

`python tests/checker/allclose.py` asks all of them (some minutes) and writes allclose.json, which the site shows beside
what the judge says.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from zoo import ZOO

from scratchnet import checker
from scratchnet.checker import candidate
from scratchnet.checker.child import Ended
from scratchnet.measure.verify import Call
from scratchnet.ops import OPS, Op

RIGHT = Path(__file__).parent / "right"
SAID = Path(__file__).with_suffix(".json")
ROWS, COLUMNS = 32, 64
TOLERANCE = 1e-2  # rtol and atol


def operator(path: Path) -> Op:
    """What a file computes: its name begins with it."""
    return OPS[max((name for name in OPS if path.stem.startswith(name)), key=len)]


def changed(name: str, folder: Path) -> tuple[Path, str, str]:
    """A kernel of the zoo, written to a folder; its direction, and words of its diagnosis."""
    file, direction, old, new, words = ZOO[name]
    right = (RIGHT / file).read_text()
    assert old in right
    (folder / file).write_text(right.replace(old, new, 1) if old else right + new)
    return folder / file, direction, words


def passes(path: Path, direction: str) -> bool:
    """Whether the usual test takes a kernel for right: it may write where it likes, and nothing else is looked at."""
    op = operator(path)
    try:
        kernel = checker.load(path, checker.Contract(op))
        call = Call.make(op, kernel.contract.plain, ROWS, COLUMNS, torch.float32)
        reply = kernel._ask("call", **kernel._request(direction, call), lenient=2)
        results = kernel._results(direction, reply)
    except (checker.KernelError, Ended):
        return False
    own = call.run(op.torch)
    outputs = len(call.upstream)
    expected = own[:outputs] if direction == "forward" else own[outputs:]
    return all(
        ours is not None and ours.shape == theirs.shape and torch.allclose(ours.float(), theirs, TOLERANCE, TOLERANCE)
        for ours, theirs in zip(results, expected, strict=True)
    )


def main() -> None:
    candidate.PATIENCE = 2
    said = {}
    for name in ZOO:
        with TemporaryDirectory() as folder:
            path, direction, _ = changed(name, Path(folder))
            said[name] = passes(path, direction)
        print(name, said[name], flush=True)
    SAID.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""The kernel checker: is your kernel right, where is it wrong, what is the probable reason, and how fast is it?

It is worth something only if it cannot be fooled:

- a kernel runs in a process of its own, which never holds an answer: numbers go there, results come back, and then the NumPy
  oracle computes in float64 and judges here: error <= 4 x torch's error + 16 ulp of the row's largest entry + what 4 ulp in the
  inputs change (in 16 bits less: see sixteen.py); NaN and infinity must be where the oracle has them
- numbers from two seeds come in turns in the same memory, each twice, and every result is looked at again later: what is
  remembered, hard-coded, left to chance, shared or written after the return shows
- inputs are pages that can only be read, between pages that cannot be touched; memory that a kernel is given to write, and what
  torch.empty returns, is filled with NaN
- whole blocks, odd sizes, sizes that are drawn, empty arrays, strides, tiny, huge and special values, options, float64
- what is timed is judged too, and nothing is faster than this machine's memory and arithmetic units

`judge(path, op)` does all of it and returns a `Report`; `scratchnet check my_kernel.py --primitive layer_norm` is the command.
The steps for themselves: `load` a file for a `Contract`, `check` it, `explain` a verdict, `measure` the speed.
"""

from scratchnet.checker.candidate import Candidate
from scratchnet.checker.contract import DIRECTIONS, Contract, KernelError
from scratchnet.checker.diagnosis import explain
from scratchnet.checker.exam import Verdict, check
from scratchnet.checker.load import load
from scratchnet.checker.report import Report, judge
from scratchnet.checker.speed import Speed, measure

__all__ = [
    "Contract", "DIRECTIONS", "Candidate", "KernelError", "Report", "Speed", "Verdict", "check", "explain", "judge", "load",
    "measure",
]  # fmt: skip

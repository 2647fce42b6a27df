"""The kernel checker: is your kernel right, where is it wrong, what is the probable reason, and how fast is it?

It is worth something only if it cannot be fooled:

- the float64 NumPy oracle judges: error <= 4 x torch's error + 16 ulp of the row's largest entry + what 4 ulp in the inputs
  change; NaN and infinity must be where the oracle has them
- numbers from two seeds come in the same memory, each twice: a result that is remembered, hard-coded or left to chance shows
- inputs lie between guards and must keep every bit; memory that a kernel is given to write, and what torch.empty returns, is
  filled with NaN
- odd sizes, empty arrays, strides, offsets, huge and special values; gradcheck in float64
- what is timed is judged too, and nothing is faster than this machine's memory and arithmetic units

`scratchnet check my_kernel.py --primitive layer_norm` is the command for it.
"""

from scratchnet.checker.candidate import Candidate
from scratchnet.checker.contract import DIRECTIONS, Contract, KernelError
from scratchnet.checker.diagnosis import explain
from scratchnet.checker.exam import Verdict, check
from scratchnet.checker.load import load
from scratchnet.checker.speed import Speed, measure

__all__ = ["Contract", "DIRECTIONS", "Candidate", "KernelError", "Speed", "Verdict", "check", "explain", "load", "measure"]

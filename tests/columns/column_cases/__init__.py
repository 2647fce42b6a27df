"""The kernel calls that the tests of the columns run: arguments by name, beside torch's own way to every output.

The file <p>.py has for each operator of scratchnet/ops/<p>.py

    <op>_forward(the arguments of the forward kernel)     torch's own way to all that the kernel returns
    <op>_calls()                                          yields `call(label, ...)` for each case
"""

from importlib import import_module

from column_cases.case import INSIDE, STATISTICS, Case, as_tuple, parameters, randn
from scratchnet.ops import FILES

__all__ = ["CASES", "Case", "INSIDE", "STATISTICS", "as_tuple", "parameters", "randn"]


def _cases(op: str) -> list[Case]:
    file = import_module(f"column_cases.{FILES[op]}")
    own = getattr(file, f"{op}_forward")
    return [Case(op, own, **call) for call in getattr(file, f"{op}_calls")()]


CASES = [case for op in FILES for case in _cases(op)]

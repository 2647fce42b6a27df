"""What goes wrong in a soft clip."""

from __future__ import annotations

from typing import Callable

from scratchnet.measure.verify import Call

FORWARD: dict[str, Callable] = {
    "it clips hard, at the limit": lambda x: x.clamp(-1, 1),
    "|x| is x: a negative number is divided by 1 - |x|": lambda x: x / (1 + x),
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {
    "the divisor is not squared": lambda call: (call.upstream[0] / (1 + call.args[0].detach().abs()),),
}
VALUES: dict[str, str] = {}

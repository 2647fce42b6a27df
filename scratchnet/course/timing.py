"""How long a call takes, for lessons; `scratchnet bench` measures properly."""

from __future__ import annotations

import time
from typing import Callable


def best(call: Callable[[], object], times: int = 5) -> float:
    """The shortest of several runs in milliseconds: other programs can only make a run longer."""

    def once() -> float:
        start = time.perf_counter()
        call()
        return 1000 * (time.perf_counter() - start)

    return min(once() for _ in range(times))

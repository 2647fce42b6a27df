"""The common mistakes of each primitive, one file per primitive; the sentences are what their author is told.

FORWARD, BACKWARD   sentence -> a wrong kernel in plain torch, whose results are compared with the reader's: of forward with the
                    arguments of torch's function, of backward a function of the `Call` that returns the gradients
VALUES              name in `exam.VALUES` -> what a kernel does that is wrong at these numbers and right at others
"""

from __future__ import annotations

from typing import Callable

FORWARD: dict[str, Callable] = {}
BACKWARD: dict[str, Callable] = {}
VALUES: dict[str, str] = {}

"""Exercise 29: correct a lying benchmark, compare in turns, ask the roof, feed a batch in pieces.

Each `...` is a blank for you to fill in. Then: scratchnet check 29

The clock and the device are passed to your functions, so that the grader can bring its own: a device with a queue, whose first
call is slow and which is disturbed now and then.
"""

from typing import Callable

import torch

import scratchnet.nn.functional as F
from scratchnet import nn
from scratchnet.measure.roof import Roof

# This is the benchmark that lies. On a graphics card it says that everything takes 5 microseconds.
#
#     def seconds(call, wait, clock):
#         start = clock()
#         call()
#         return clock() - start


def seconds(call: Callable, wait: Callable, clock: Callable[[], float], warm_up: int, runs: int) -> float:
    """The honest one: how long a call takes, the median of `runs` runs timed one by one, after `warm_up` calls.

    `call()` asks the device, `wait()` returns when everything it was asked for is done, `clock()` tells the time in seconds.
    `statistics.median` is fine.
    """
    ...


def speedup(time_theirs: Callable[[], float], time_ours: Callable[[], float], rounds: int) -> float:
    """How many times as fast ours is: the median over the rounds of theirs / ours.

    Each of the two functions runs its program once and returns the seconds. In each round both run once; in rounds 0, 2, ...
    theirs goes first, in rounds 1, 3, ... ours does.
    """
    ratios = []
    for _ in range(rounds):
        ratios.append(...)
    return ...


def least_seconds(flops: float, moved: float, roof: Roof) -> tuple[float, str]:
    """The least time that any kernel needs, and what sets it: "memory" or "arithmetic".

    The kernel does `flops` and moves `moved` bytes; roof.arithmetic is in FLOP per second, roof.bandwidth in bytes per second.
    """
    return ..., ...


def gradient_in_pieces(model: nn.Module, x: torch.Tensor, y: torch.Tensor, size: int) -> None:
    """Leave in the parameters' `.grad` the gradient of F.cross_entropy(model(x), y), with at most `size` rows at a time.

    The last piece may be smaller. What `.grad` held before is forgotten.
    """
    model.zero_grad()
    for piece, target in zip(x.split(size), y.split(size), strict=True):
        (F.cross_entropy(model(piece), target) * ...).backward()

"""Right answers to exercise 29, each in a style of its own."""

import itertools
import statistics

import numpy as np
import torch
import torch.nn.functional as F


def seconds__wait_each_time(call, wait, clock, warm_up, runs):
    """Waits after every call, those of the warm-up too."""
    times = []
    for number in range(warm_up + runs):
        wait()
        before = clock()
        call()
        wait()
        after = clock()
        if number >= warm_up:
            times.append(after - before)
    return statistics.median(times)


def seconds__helper(call, wait, clock, warm_up, runs):
    """A helper that times one run; NumPy's median."""

    def once():
        start = clock()
        call()
        wait()
        return clock() - start

    for _ in range(warm_up):
        once()
    return float(np.median([once() for _ in range(runs)]))


def seconds__sorted(call, wait, clock, warm_up, runs):
    """The middle of a sorted list; start and stop noted apart."""
    starts, stops = [], []
    for _ in range(warm_up):
        call()
    wait()
    for _ in range(runs):
        starts += [clock()]
        call()
        wait()
        stops += [clock()]
    times = sorted(b - a for a, b in zip(starts, stops, strict=True))
    middle = len(times) // 2
    return times[middle] if len(times) % 2 else (times[middle - 1] + times[middle]) / 2


def speedup__if(time_theirs, time_ours, rounds):
    """As one writes it down."""
    ratios = []
    for number in range(rounds):
        if number % 2 == 0:
            theirs = time_theirs()
            ours = time_ours()
        else:
            ours = time_ours()
            theirs = time_theirs()
        ratios.append(theirs / ours)
    return statistics.median(ratios)


def speedup__order(time_theirs, time_ours, rounds):
    """A dictionary of times, and an order that turns round."""
    programs, ratios = [("theirs", time_theirs), ("ours", time_ours)], []
    for _ in range(rounds):
        times = {name: program() for name, program in programs}
        ratios.append(times["theirs"] / times["ours"])
        programs.reverse()
    return np.median(ratios)


def speedup__cycle(time_theirs, time_ours, rounds):
    """itertools.cycle; a tensor of ratios."""
    ratios = []
    for theirs_first, _ in zip(itertools.cycle([True, False]), range(rounds), strict=False):
        pair = (time_theirs(), time_ours()) if theirs_first else (time_ours(), time_theirs())[::-1]
        ratios.append(pair[0] / pair[1])
    return torch.tensor(ratios, dtype=torch.float64).quantile(0.5).item()


def least_seconds__if(flops, moved, roof):
    """Compared once."""
    memory = moved / roof.bandwidth
    arithmetic = flops / roof.arithmetic
    if memory > arithmetic:
        return memory, "memory"
    return arithmetic, "arithmetic"


def least_seconds__pairs(flops, moved, roof):
    """The larger of two pairs."""
    return max((moved / roof.bandwidth, "memory"), (flops / roof.arithmetic, "arithmetic"))


def least_seconds__intensity(flops, moved, roof):
    """The intensity beside the ridge."""
    bound = "memory" if flops / moved < roof.arithmetic / roof.bandwidth else "arithmetic"
    return {"memory": moved / roof.bandwidth, "arithmetic": flops / roof.arithmetic}[bound], bound


def gradient_in_pieces__sums(model, x, y, size):
    """The sum over a piece, divided by all rows."""
    model.zero_grad()
    for start in range(0, len(x), size):
        outputs = model(x[start : start + size])
        (F.cross_entropy(outputs, y[start : start + size], reduction="sum") / len(x)).backward()


def gradient_in_pieces__none(model, x, y, size):
    """Gradients set to None; each row's loss by itself."""
    for parameter in model.parameters():
        parameter.grad = None
    for rows in torch.arange(len(x)).split(size):
        each = F.cross_entropy(model(x[rows]), y[rows], reduction="none")
        each.backward(torch.full_like(each, 1 / x.shape[0]))


def gradient_in_pieces__autograd(model, x, y, size):
    """torch.autograd.grad, added up by hand."""
    parameters = list(model.parameters())
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for piece, target in zip(x.split(size), y.split(size), strict=True):
        loss = F.cross_entropy(model(piece), target)
        for gradient, part in zip(total, torch.autograd.grad(loss, parameters), strict=True):
            gradient += part * (len(piece) / len(x))
    for parameter, gradient in zip(parameters, total, strict=True):
        parameter.grad = gradient

"""Exercise 29: warm up, wait, take the median; in turns; the longer of two limits; pieces weighted by their size."""

import statistics

import torch

import scratchnet.nn.functional as F
from scratchnet import nn
from scratchnet.course import drawn, task
from scratchnet.measure.roof import Roof


class Device:
    """A device with a queue and a clock of its own: asking takes 1 second, each job the time listed (the last one repeats)."""

    def __init__(self, *jobs):
        self.jobs, self.now, self.done = list(jobs), 0.0, 0.0

    def call(self):
        self.now += 1
        self.done = max(self.now, self.done) + (self.jobs.pop(0) if len(self.jobs) > 1 else self.jobs[0])

    def wait(self):
        self.now = max(self.now, self.done)

    def clock(self):
        return self.now


def measured(seconds):
    def on(*jobs, warm_up, runs):
        device = Device(*jobs)
        return float(seconds(device.call, device.wait, device.clock, warm_up, runs))

    return {
        "calls of 9 seconds and 1 to ask, one of them disturbed": on(900, 900, 9, 9, 49, 9, 9, 9, warm_up=2, runs=5),
        "a single run after 3 calls that are still in the queue": on(9, warm_up=3, runs=1),
        "runs of 4, 8 and 6 seconds, 1 to ask": on(4, 8, 6, 1, warm_up=0, runs=3),
    }


@task(
    facts=measured,
    hints=(
        "Three lies: the first calls are slow, nobody waits for the answer, one run tells you nothing.",
        "After the warm-up, wait. Then in each run: clock, call, wait, clock.",
        "start = clock(); call(); wait(); times.append(clock() - start), and at the end statistics.median(times)",
    ),
)
def seconds(call, wait, clock, warm_up, runs):
    for _ in range(warm_up):
        call()
    wait()
    times = []
    for _ in range(runs):
        start = clock()
        call()
        wait()
        times.append(clock() - start)
    return statistics.median(times)


def _seconds(call, wait, clock, warm_up, runs, before=True, after=True, summary=statistics.median):
    """The benchmark with its mistakes as options."""
    for _ in range(warm_up):
        call()
    if before:
        wait()
    times = []
    for _ in range(runs):
        start = clock()
        call()
        if after:
            wait()
        times.append(clock() - start)
    return summary(times)


@seconds.mistake
def nobody_waits(call, wait, clock, warm_up, runs):
    """You measured how long it takes to ask. Wait for the answer before you read the clock again: call(), wait(), clock()."""
    return _seconds(call, wait, clock, warm_up, runs, after=False)


@seconds.mistake
def pays_for_the_queue(call, wait, clock, warm_up, runs):
    """The first run pays for the calls of the warm-up that are still in the queue: wait once more before the first start."""
    return _seconds(call, wait, clock, warm_up, runs, before=False)


@seconds.mistake
def without_warm_up(call, wait, clock, warm_up, runs):
    """The first calls, which load and allocate, are among your times: call warm_up times before you start the clock."""
    return _seconds(call, wait, clock, 0, runs)


@seconds.mistake
def the_mean(call, wait, clock, warm_up, runs):
    """That is the mean, and a single disturbed run has pulled it up: take the median."""
    return _seconds(call, wait, clock, warm_up, runs, summary=statistics.mean)


@seconds.mistake
def the_fastest(call, wait, clock, warm_up, runs):
    """That is the fastest run, which is the luckiest. The task asks for what a run usually takes: the median."""
    return _seconds(call, wait, clock, warm_up, runs, summary=min)


@seconds.mistake
def one_clock_for_all(call, wait, clock, warm_up, runs):
    """You timed all runs together and divided. One disturbed run is then spread over all of them, and asking overlaps with
    working: start and stop the clock in each run."""
    for _ in range(warm_up):
        call()
    wait()
    start = clock()
    for _ in range(runs):
        call()
    wait()
    return (clock() - start) / runs


def compared(speedup):
    machine = {"speed": 1.0, "order": ""}

    def program(name, base):
        def run():
            machine["order"] += name
            machine["speed"] *= 1.25  # the machine gets slower and slower
            return base * machine["speed"]

        return run

    ratio = float(speedup(program("T", 6.0), program("O", 2.0), 4))
    jumps, steady = iter([4.0, 60.0, 4.0, 4.0, 4.0]), lambda: 2.0
    return {
        "the order of four rounds (T theirs, O ours)": machine["order"],
        "theirs takes 3 times as long, on a machine that gets slower": ratio,
        "twice as long, one round disturbed": float(speedup(lambda: next(jumps), steady, 5)),
    }


@task(
    facts=compared,
    hints=(
        "Run both in each round, in the order that the docstring asks for, and divide there and then.",
        "number % 2 says whose turn it is. The ratio is theirs / ours, whoever went first.",
        "if number % 2: ours = time_ours(); theirs = time_theirs(); else the other way; ratios.append(theirs / ours); median",
    ),
)
def speedup(time_theirs, time_ours, rounds):
    ratios = []
    for number in range(rounds):
        if number % 2:
            ours, theirs = time_ours(), time_theirs()
        else:
            theirs, ours = time_theirs(), time_ours()
        ratios.append(theirs / ours)
    return statistics.median(ratios)


def _rounds(time_theirs, time_ours, rounds):
    """(theirs, ours) of each round."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            ours = time_ours()
            pairs.append((time_theirs(), ours))
        else:
            pairs.append((time_theirs(), time_ours()))
    return pairs


@speedup.mistake
def one_after_the_other(time_theirs, time_ours, rounds):
    """All runs of theirs came first, then all of ours. The machine got slower in the meantime, and ours had to pay for it: let
    them run in turns."""
    theirs = [time_theirs() for _ in range(rounds)]
    return statistics.median(t / time_ours() for t in theirs)


@speedup.mistake
def always_the_same_first(time_theirs, time_ours, rounds):
    """Theirs always went first. Whichever goes second finds a different machine, warmer or slower: change the order in each
    round."""
    return statistics.median(time_theirs() / time_ours() for _ in range(rounds))


@speedup.mistake
def upside_down(time_theirs, time_ours, rounds):
    """That is ours / theirs. How many times as fast ours is: theirs / ours."""
    return 1 / speedup(time_theirs, time_ours, rounds)


@speedup.mistake
def the_mean_of_the_ratios(time_theirs, time_ours, rounds):
    """That is the mean, and one disturbed round has pulled it up: take the median of the ratios."""
    return statistics.mean(theirs / ours for theirs, ours in _rounds(time_theirs, time_ours, rounds))


@speedup.mistake
def ratio_of_medians(time_theirs, time_ours, rounds):
    """You divided the medians of the times. They come from different rounds, in which the machine was faster or slower: divide
    within each round, then take the median."""
    theirs, ours = zip(*_rounds(time_theirs, time_ours, rounds), strict=True)
    return statistics.median(theirs) / statistics.median(ours)


@speedup.mistake
def ours_first(time_theirs, time_ours, rounds):
    """The order is the wrong way round: in rounds 0, 2, ... theirs goes first."""
    return 1 / speedup(time_ours, time_theirs, rounds)


ROOF = Roof(bandwidth=20e9, arithmetic=100e9)


def limits(least_seconds):
    low, high = least_seconds(2e9, 4e9, ROOF), least_seconds(50e9, 4e9, ROOF)
    return {
        "2 GFLOP and 4 GB under 20 GB/s and 100 GFLOP/s": float(low[0]),
        "50 GFLOP and 4 GB": float(high[0]),
        "0 flops and 2 GB: a copy": float(least_seconds(0.0, 2e9, ROOF)[0]),
        "what sets the first": low[1],
        "what sets the second": high[1],
    }


@task(
    facts=limits,
    hints=(
        "Two times: to move the bytes, and to do the flops. They run side by side.",
        "An amount divided by a speed is a time. Memory sets the pace where its time is the longer one.",
        'max(moved / roof.bandwidth, flops / roof.arithmetic), "memory" if the first of the two is larger else "arithmetic"',
    ),
)
def least_seconds(flops, moved, roof):
    memory, arithmetic = moved / roof.bandwidth, flops / roof.arithmetic
    return max(memory, arithmetic), "memory" if memory > arithmetic else "arithmetic"


@least_seconds.mistake
def one_after_another(flops, moved, roof):
    """You added the two times. A machine loads the next numbers while it computes with these: the longer one counts."""
    return moved / roof.bandwidth + flops / roof.arithmetic, least_seconds(flops, moved, roof)[1]


@least_seconds.mistake
def the_wrong_name(flops, moved, roof):
    """The times are right, but the names are swapped: what takes longer sets the pace."""
    right = least_seconds(flops, moved, roof)
    return right[0], "arithmetic" if right[1] == "memory" else "memory"


@least_seconds.mistake
def the_shorter_one(flops, moved, roof):
    """You took the shorter of the two times. The kernel has to wait for both, so the longer one is the limit."""
    return min(moved / roof.bandwidth, flops / roof.arithmetic), least_seconds(flops, moved, roof)[1]


@least_seconds.mistake
def amounts_swapped(flops, moved, roof):
    """flops and bytes met the wrong roof: bytes are divided by the bandwidth, flops by the arithmetic."""
    return least_seconds(moved, flops, roof)


def gradients(gradient_in_pieces):
    model, x, y = nn.Linear(3, 2), torch.randn(10, 3), drawn(torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 1, 1]))
    rows = []
    model.register_forward_hook(lambda model, inputs, outputs: rows.append(len(outputs)))
    model.weight.grad = torch.ones(2, 3)
    gradient_in_pieces(model, x, y, 4)
    return {
        "the gradient of the weight for 10 rows, 4 at a time": model.weight.grad.clone(),
        "that of the bias": model.bias.grad.clone(),
        "never more than 4 rows at a time": max(rows) <= 4,
    }


@task(
    facts=gradients,
    hints=(
        "Gradients add up by themselves. Each piece has to count with its share of the whole batch.",
        "The loss is a mean over the piece; in the whole batch the piece has a share of len(piece) / len(x).",
        "(loss * len(piece) / len(x)).backward()",
    ),
)
def gradient_in_pieces(model, x, y, size):
    model.zero_grad()
    for piece, target in zip(x.split(size), y.split(size), strict=True):
        (F.cross_entropy(model(piece), target) * len(piece) / len(x)).backward()


def _in_pieces(model, x, y, size, share):
    model.zero_grad()
    for piece, target in zip(x.split(size), y.split(size), strict=True):
        (F.cross_entropy(model(piece), target) * share(piece)).backward()


@gradient_in_pieces.mistake
def not_divided(model, x, y, size):
    """The gradients of all pieces were added unscaled, so the sum is too large: each piece counts with its share."""
    _in_pieces(model, x, y, size, lambda piece: 1)


@gradient_in_pieces.mistake
def pieces_of_one_size(model, x, y, size):
    """You divided by the number of pieces, so the small last one counts as much as the others: its share is len(piece) /
    len(x)."""
    _in_pieces(model, x, y, size, lambda piece: 1 / len(x.split(size)))


@gradient_in_pieces.mistake
def only_the_last(model, x, y, size):
    """Only the last piece is left, because the gradients were set to zero in the loop: call zero_grad once, before it."""
    for piece, target in zip(x.split(size), y.split(size), strict=True):
        _in_pieces(model, piece, target, size, lambda _: len(piece) / len(x))  # noqa: B023


@gradient_in_pieces.mistake
def old_gradient_kept(model, x, y, size):
    """What `.grad` held before is still in it: backward adds. Call zero_grad once, before the loop."""
    for piece, target in zip(x.split(size), y.split(size), strict=True):
        (F.cross_entropy(model(piece), target) * len(piece) / len(x)).backward()


@gradient_in_pieces.mistake
def all_at_once(model, x, y, size):
    """The gradient is right, but all rows went through the model at once: only `size` rows fit into memory."""
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()

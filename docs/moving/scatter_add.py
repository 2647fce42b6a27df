"""The backward of gather: eight gradients go home to four rows, by two threads that race, add atomically, or own their rows."""

from random import Random
from typing import Any

import numpy as np

from scratchnet.ops import DimOptions
from scratchnet.oracle.gather import gather_backward

INDEX = [2, 0, 2, 1, 2, 0, 3, 2]
GRAD = [1.0, 20.0, 300.0, 40.0, 5.0, 600.0, 70.0, 8.0]
ROWS = 4
THREADS = 2
MODES = ("a race: read, then write", "atomic additions", "sorted by row")


def exact() -> list[float]:
    """The oracle's gradient."""
    return gather_backward(np.array(GRAD), (ROWS,), np.array(INDEX), DimOptions(0)).tolist()


def _mixed(lists: list[list[dict[str, Any]]], seed: int) -> list[dict[str, Any]]:
    """The events of all threads in one order, drawn at random; those of one thread keep theirs."""
    random, left, order = Random(seed), [list(events) for events in lists], []
    while any(left):
        order.append(random.choice([events for events in left if events]).pop(0))
    return order


def schedules() -> list[list[dict[str, Any]]]:
    """For each mode, what happens one after another: an action on gradient i by a thread."""
    n = len(INDEX)
    halves = [range(t * n // THREADS, (t + 1) * n // THREADS) for t in range(THREADS)]
    by_row = sorted(range(n), key=INDEX.__getitem__)  # stable: equal ones stay in the order of the index
    owned = [[i for i in by_row if INDEX[i] * THREADS // ROWS == t] for t in range(THREADS)]
    race = [
        [{"thread": t, "i": i, "action": action} for i in half for action in ("read", "write")] for t, half in enumerate(halves)
    ]
    atomic = [[{"thread": t, "i": i, "action": "add"} for i in half] for t, half in enumerate(halves)]
    rows = [[{"thread": t, "i": i, "action": "add"} for i in mine] for t, mine in enumerate(owned)]
    lossy = next(
        seed for seed in range(100) if sum(a != b for a, b in zip(play(_mixed(race, seed))[-1], exact(), strict=True)) > 1
    )
    return [_mixed(race, lossy), _mixed(atomic, 1), [{"thread": None, "i": None, "action": "sort"}, *_mixed(rows, 2)]]


def play(events: list[dict[str, Any]]) -> list[list[float]]:
    """dx after each event."""
    dx, registers, states = [0.0] * ROWS, [0.0] * THREADS, []
    for event in events:
        thread, i = event["thread"], event["i"]
        match event["action"]:
            case "read":
                registers[thread] = dx[INDEX[i]]
            case "write":
                dx[INDEX[i]] = registers[thread] + GRAD[i]
            case "add":
                dx[INDEX[i]] += GRAD[i]
        states.append(list(dx))
    return states


def data() -> dict[str, Any]:
    """The index, the gradients, and who does what in which order."""
    by_row = sorted(range(len(INDEX)), key=INDEX.__getitem__)
    return {
        "index": INDEX, "grad": GRAD, "rows": ROWS, "threads": THREADS, "by row": by_row,
        "modes": [{"name": name, "events": events} for name, events in zip(MODES, schedules(), strict=True)],
        "exact": exact(),
    }  # fmt: skip


def expected() -> list[dict[str, Any]]:
    """dx at each step, from 0 on; how many entries are not the oracle's at the end."""
    shown = []
    for events in schedules():
        states = [[0.0] * ROWS, *play(events)]
        shown += [{"dx": dx, "wrong": None} for dx in states]
        shown[-1] = {"dx": states[-1], "wrong": sum(a != b for a, b in zip(states[-1], exact(), strict=True))}
    return shown


def still() -> str:
    """Index, gradients and the sums of the oracle."""
    cells = lambda y, numbers: "".join(
        f'<rect x="{62 + 38 * i}" y="{y}" width="36" height="26"/><text x="{80 + 38 * i}" y="{y + 18}">{number:g}</text>'
        for i, number in enumerate(numbers)
    )
    rows = (("index", INDEX), ("g", GRAD), ("dx", exact()))
    lines = "".join(
        f'<text class="left" x="4" y="{24 + 40 * n}">{name}</text>{cells(6 + 40 * n, numbers)}'
        for n, (name, numbers) in enumerate(rows)
    )
    label = f"Scatter-add: the gradients {GRAD} at the rows {INDEX} add up to {exact()}"
    return f'<svg viewBox="0 0 366 120" role="img" aria-label="{label}">{lines}</svg>'

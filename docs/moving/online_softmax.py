"""The online softmax: a row read from left to right, two halves joined, and the same with values, which is attention."""

import math
from typing import Any

import numpy as np

from scratchnet.ops import DimOptions
from scratchnet.ops.attention import AttentionOptions
from scratchnet.oracle.attention import attention_forward
from scratchnet.oracle.cross_entropy import logsumexp_forward, softmax_forward

ROWS = {
    "mixed": [1.0, 3.0, 0.5, 1.5, 4.0, 2.0, 2.5, 3.5],
    "falling": [4.5, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 0.5],
    "rising, and too large for exp": [1000.0, 1001.0, 1001.5, 1002.0, 1003.0, 1003.5, 1004.0, 1005.0],
}
VALUES = [1.0, 5.0, -2.0, 4.0, 2.0, -1.0, 3.0, 6.0]
PARTS = ("one walk", "two halves", "with values: attention")
HALF = len(VALUES) // 2
DIGITS = 4  # behind the point, in what is shown


def walk(first: int, scores: list[float]) -> list[dict[str, Any]]:
    """The state after each score from number `first` on, with what it was before: m, l and o."""
    m, l, o = -math.inf, 0.0, 0.0
    states = []
    for j, x in enumerate(scores, first):
        before = None if m == -math.inf else {"m": m, "l": l, "o": o}
        top = max(m, x)
        factor, term = math.exp(m - top), math.exp(x - top)
        m, l, o = top, l * factor + term, o * factor + term * VALUES[j]
        states.append({"first": first, "read": j + 1, "x": x, "before": before, "factor": factor, "m": m, "l": l, "o": o})
    return states


def join(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """One state of two: the smaller maximum's sum is brought to the larger one."""
    m = max(left["m"], right["m"])
    factors = [math.exp(part["m"] - m) for part in (left, right)]
    l = left["l"] * factors[0] + right["l"] * factors[1]
    return {"first": left["first"], "read": right["read"], "joined": [left, right], "factors": factors, "m": m, "l": l}


def terms(scores: list[float], states: list[dict[str, Any]]) -> list[float | None]:
    """exp(x - m) of every score that has been read, with the m of its state."""
    bars: list[float | None] = [None] * len(scores)
    for state in states:
        for j in range(state["first"], state["read"]):
            bars[j] = math.exp(scores[j] - state["m"])
    return bars


def in_one_go(scores: list[float]) -> tuple[list[float], float]:
    """The oracle's softmax, and its attention for one query with these scores."""
    row = np.array(scores)
    p = softmax_forward(row, DimOptions(0))
    query = np.ones((1, 1, 1, 1))
    keys, values = row.reshape(1, 1, -1, 1), np.array(VALUES[: len(scores)]).reshape(1, 1, -1, 1)
    everything = AttentionOptions(scale=1.0, left=len(row), right=len(row), softcap=0.0, dropout=0.0)
    y, _ = attention_forward(query, keys, values, None, None, None, everything)
    return p.tolist(), y.item()


def data() -> dict[str, Any]:
    """Rows, and the steps of each: the states so far, the exponentials, and at the end what one softmax gives."""
    steps = []
    for name, scores in ROWS.items():
        whole, left, right = walk(0, scores), walk(0, scores[:HALF]), walk(HALF, scores[HALF:])
        p, y = in_one_go(scores)
        for part, states in (
            (0, [[state] for state in whole]),
            (1, [*([a, b] for a, b in zip(left, right, strict=True)), [join(left[-1], right[-1])]]),
            (2, [[state] for state in whole]),
        ):
            steps += [{"row": name, "part": part, "states": now, "terms": terms(scores, now)} for now in states]
            if part != 1:
                l, bars = whole[-1]["l"], terms(scores, whole[-1:])
                ours = {"p": [bar / l for bar in bars if bar is not None], "y": whole[-1]["o"] / l}
                steps.append(
                    {
                        "row": name,
                        "part": part,
                        "states": [whole[-1]],
                        "terms": ours["p"],
                        "end": {**ours, "once": p, "y once": y},
                    }
                )
    return {"rows": ROWS, "values": VALUES, "parts": PARTS, "steps": steps, "digits": DIGITS}


def expected() -> list[dict[str, Any]]:
    """What the oracle says of the scores read so far, in one go: m, l = exp(logsumexp - m), and o = l times the attention."""
    shown = lambda number: f"{number:.{DIGITS}f}"

    def of(first: int, read: int, scores: list[float]) -> dict[str, str]:
        part = np.array(scores[first:read])
        return {"m": shown(part.max()), "l": shown(np.exp(logsumexp_forward(part, DimOptions(0)) - part.max()).item())}

    steps: list[dict[str, Any]] = []
    for scores in ROWS.values():
        n = len(scores)
        p, y = in_one_go(scores)
        steps += [{"states": [of(0, j + 1, scores)]} for j in range(n)]
        steps.append({"p": [shown(share) for share in p]})
        steps += [{"states": [of(0, j + 1, scores), of(HALF, HALF + j + 1, scores)]} for j in range(HALF)]
        steps.append({"states": [of(0, n, scores)]})
        for j in range(n):
            state = of(0, j + 1, scores)
            part = np.array(scores[: j + 1])
            total = np.exp(logsumexp_forward(part, DimOptions(0)) - part.max()).item()
            steps.append({"states": [{**state, "o": shown(total * in_one_go(scores[: j + 1])[1])}]})
        steps.append({"y": shown(y)})
    return steps


def still() -> str:
    """The first row, its walk as a table: score, m and l."""
    (name, scores), *_ = ROWS.items()
    lines = "".join(
        f'<text x="{60 + 100 * column}" y="{44 + 24 * row}">{text}</text>'
        for row, state in enumerate(walk(0, scores))
        for column, text in enumerate((f"{state['x']:g}", f"{state['m']:g}", f"{state['l']:.{DIGITS}f}"))
    )
    heads = "".join(
        f'<text x="{60 + 100 * i}" y="18">{head}</text>' for i, head in enumerate(("score", "m so far", "l so far"))
    )
    label = f"The online softmax of a row ({name}): the maximum m and the sum l after each score"
    return f'<svg viewBox="0 0 366 236" role="img" aria-label="{label}">{heads}{lines}</svg>'

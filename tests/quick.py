"""`pytest --quick`: just enough cases of every test function to meet each row of each of its `parametrize` tables once.

A test over 74 examples x 4 dtypes x 4 layouts has 1,184 cases; 74 of them meet every example, every dtype and every layout.
The choice depends only on their order, so two runs choose the same. A test without a table always runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Hashable


def quick(items: list) -> list:
    """The items of the sample, in their order."""
    functions = defaultdict(list)
    for item in items:
        functions[item.nodeid.partition("[")[0]].append(item)
    kept = {group[i] for group in functions.values() for i in sample([rows(item) for item in group])}
    return [item for item in items if item in kept]


def rows(item) -> tuple[Hashable, ...]:
    """What a case is made of: for every table, the names of its arguments and which objects they are."""
    if not hasattr(item, "callspec"):
        return ()
    tables = [mark.args[0] for mark in item.iter_markers("parametrize")]
    tables = [names.replace(" ", "").split(",") if isinstance(names, str) else names for names in tables]
    return tuple((*names, *(id(item.callspec.params[name]) for name in names)) for names in tables)


def sample(cases: list[tuple[Hashable, ...]]) -> set[int]:
    """Indices of cases that together meet every row, the rarest row first.

    Of the cases with that row it takes the one with the most new rows, then the one whose rows were met least, then the first.
    """
    holders = defaultdict(list)  # row -> the cases that have it; rows in the order in which they appear
    for index, case in enumerate(cases):
        for row in case:
            holders[row].append(index)
    chosen, met = {0}, Counter(cases[0])
    for row in sorted(holders, key=lambda row: len(holders[row])):
        if row not in met:
            best = max(holders[row], key=lambda i: (sum(r not in met for r in cases[i]), -sum(met[r] for r in cases[i]), -i))
            chosen.add(best)
            met.update(cases[best])
    return chosen

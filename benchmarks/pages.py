"""What docs/speed.md and docs/cpu_training.md say of speed, from the CSV of `scratchnet bench --environments`.

docs/speed.md gets every call that torch computes faster, docs/cpu_training.md the forward and backward pass of what a language
model trains with.
"""

import argparse
from pathlib import Path

from scratchnet import backends
from scratchnet.cli import markdown
from scratchnet.measure import environments
from scratchnet.measure.environments import Row, Table

ROOT = Path(__file__).parents[1]
SLOWER, TRAINING = "slower", "cpu_training"  # the commands that the markers name
TRAINED = ("linear_cross_entropy", "cross_entropy", "layer_norm", "rms_norm", "add_layer_norm", "embedding", "gelu", "geglu")


def slower(table: Table) -> list[tuple[str, ...]]:
    """The header, then a line per call and direction that torch computes faster somewhere, with the ratios below 1."""
    names = list(dict.fromkeys(name for found in table.values() for name in found))
    lines = [("operator", "size", "direction", *names)]
    for call, found in table.items():
        for direction in ("forward", "forward+backward"):
            rows = {name: rows[direction] for name, rows in found.items()}
            below = {name: ratio(row) for name, row in rows.items() if float(ratio(row)) < 1}
            if below:
                lines.append((*call, direction, *(below.get(name, "") for name in names)))
    return lines


def ratio(row: Row) -> str:
    """Torch's time / ours, as the tables print it."""
    return f"{float(row['ratio_median']):.2f}"


def count(table: Table) -> str:
    """How many figures are below 1, and how many of those a user gets who names no backend."""
    rows = [row for found in table.values() for both in found.values() for row in both.values()]
    below = [row for row in rows if float(ratio(row)) < 1]
    kept = [row for row in below if row["default"] != backends.TORCH]
    return (
        f"Of {len(rows)} figures {len(below)} are below 1. In {len(below) - len(kept)} of these torch's own function runs when "
        f"no backend is named; in the other {len(kept)} ours runs all the same."
    )


def training(table: Table) -> list[tuple[str, ...]]:
    """The header, then a line per call: what it has to move, and our time, the share of the roof and torch's time / ours."""
    calls = {call: found for call, found in table.items() if call[0].split(",")[0] in TRAINED}
    names = list(dict.fromkeys(name for found in calls.values() for name in found))
    lines = [("operator", "size", "moves", "computes", *names)]
    for call, found in calls.items():
        rows = {name: both["forward+backward"] for name, both in found.items()}
        first = next(iter(rows.values()))
        work = f"{int(first['bytes']) / 1e6:,.1f} MB", f"{int(first['flops']) / 1e9:.2g} GFLOP"
        lines.append((*call, *work, *(_cell(rows[name]) if name in rows else "" for name in names)))
    return lines


def _cell(row: Row) -> str:
    return f"{float(row['seconds_median']) * 1e3:.3g} ms ({float(row['share']):.0%}) {ratio(row)}"


def main(argv: list[str] | None = None) -> int:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path, help="what `scratchnet bench --environments --csv FILE` wrote")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="where docs/ is (default: here)")
    args = parser.parse_args(argv)
    rows = environments.read(args.figures)
    table, caption = environments.table(rows), environments.caption(rows)
    markdown.write(SLOWER, args.root / "docs" / "speed.md", markdown.table(slower(table)), f"{count(table)} {caption}")
    legend = (
        "A cell: our time forward and backward, in brackets the share of the roof that it reaches (memory, or arithmetic above "
        "16 FLOP a byte), torch's time / ours. Moves: every input read once, every result written once."
    )
    markdown.write(TRAINING, args.root / "docs" / "cpu_training.md", markdown.table(training(table)), f"{caption} {legend}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

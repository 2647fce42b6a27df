"""The numbers of docs/glossary.md: `python benchmarks/glossary.py` measures all, or those that are named, and prints them.

With --write all go into docs/glossary.json, with the machine, the versions and the date.
"""

from __future__ import annotations

import argparse
import json
import sys

from terms import NUMBERS, arithmetic, calls, cpu, gpu, rungs  # noqa: F401  they register their functions
from terms.page import PAGE

from scratchnet.measure import machine

TABLE = PAGE.with_suffix(".json")


def measured(name: str) -> dict[str, float | str]:
    """One number as the table has it: three digits, unless it is whole."""
    value = float(NUMBERS[name].measure())
    value = value if value.is_integer() else float(f"{value:.3g}")
    return {"value": int(value) if value.is_integer() else value, "unit": NUMBERS[name].unit}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of the functions in benchmarks/terms")
    parser.add_argument("--write", action="store_true", help="measure all into docs/glossary.json")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(NUMBERS):
        parser.error(f"there is no number {', '.join(sorted(unknown))}; there are {', '.join(NUMBERS)}")
    if args.write and args.names:
        parser.error("--write measures all, so that they come from one machine and one day")
    found = {}
    for name in args.names or NUMBERS:
        found[name] = measured(name)
        print(f"{name:28} {found[name]['value']:>12,} {found[name]['unit']:16} {NUMBERS[name].formula}", flush=True)
    if args.write:
        table = {"machine": machine.facts(), "numbers": dict(sorted(found.items()))}
        TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

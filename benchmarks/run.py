"""What each setting of `scratchnet run` buys on the training step of step.py, with torch.nn and with scratchnet.nn.

Every environment is a process of its own: the settings are read when torch is loaded. The environments take turns, and a ratio
is the median over the turns of the time without any setting / the time with it.
"""

import argparse
import os
import runpy
import statistics
import subprocess
import sys
import time
from pathlib import Path

from scratchnet.cli import markdown, options
from scratchnet.cli import run as command
from scratchnet.measure import machine
from scratchnet.measure.bench import Spread

STEP = runpy.run_path(str(Path(__file__).with_name("step.py")))
LIBRARIES = (STEP["TORCH"], STEP["OURS"])
NOTHING = "nothing set"
STEPS, QUICK_STEPS = 5, 2  # that are timed in one process, after two


def environments() -> dict[str, dict[str, str]]:
    """What to compare: nothing, both things that idle threads can do, each other setting by itself, and all together."""
    chosen = {setting.name: setting.value for setting in command.settings()}
    waits = {f"OMP_WAIT_POLICY={wait}": {"OMP_WAIT_POLICY": wait} for wait in ("passive", "active")}
    others = {f"{name}={value}": {name: value} for name, value in chosen.items() if name != "OMP_WAIT_POLICY"}
    return {NOTHING: {}, **waits, **others, "all that scratchnet run sets": chosen}


def seconds(name: str, quick: bool) -> float:
    """The median time of a step in this process."""
    step = STEP["training_step"](name, **STEP["QUICK" if quick else "SIZES"])
    step(), step()  # from here on threads, libraries and the optimizer's state exist
    times = []
    for _ in range(QUICK_STEPS if quick else STEPS):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure(turns: int, quick: bool) -> dict[str, dict[str, list[float]]]:
    """Environment -> library -> the time of a step in each turn."""
    found = environments()
    names = {name for settings in found.values() for name in settings}
    bare = {name: value for name, value in os.environ.items() if name not in names}
    times = {label: {name: [] for name in LIBRARIES} for label in found}
    for _ in range(turns):
        for label, settings in found.items():
            for name in LIBRARIES:
                line = [sys.executable, __file__, *(["--quick"] if quick else []), "--seconds", name]
                ran = subprocess.run(line, env={**bare, **settings}, capture_output=True, text=True, check=True)
                times[label][name].append(float(ran.stdout))
    return times


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny model")
    parser.add_argument("--turns", type=options.positive, default=5, metavar="N", help="of all environments (default: 5)")
    parser.add_argument("--seconds", choices=LIBRARIES, help="only print the time of a step with one, in seconds")
    markdown.add_readme("run", parser)
    args = parser.parse_args(argv)
    if args.seconds:
        print(seconds(args.seconds, args.quick))
        return 0
    times = measure(max(2, args.turns), args.quick)
    header = ("environment", *(part for name in LIBRARIES for part in (f"{name}, ms", "x nothing set")))
    lines = []
    for label, measured in times.items():
        cells = []
        for name, took in measured.items():
            cells += [f"{statistics.median(took) * 1e3:.1f}", str(Spread.ratio(times[NOTHING][name], took))]
        lines.append((label, *cells))
    sizes = STEP["QUICK" if args.quick else "SIZES"]
    facts = {**machine.facts(), "OMP_WAIT_POLICY": "as in the table"}
    caption = (
        f"{machine.measured(facts, 'cpu')} A step of {sizes['tokens']} tokens, {sizes['words']} words, width {sizes['width']}, "
        f"float32, each environment in {max(2, args.turns)} processes in turns. x nothing set: the time without any of these "
        "settings / the time with it, median (quartiles); above 1 it is faster."
    )
    markdown.report("run", args.readme, [header, *lines], caption)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

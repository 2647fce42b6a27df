"""`python tests/fuzz SEED` repeats one case, `--cases N` runs N cases from there on; one line each, FAIL says what is wrong."""

import argparse
import os

from fuzz_case import draw
from fuzz_judge import problems

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("seed", type=int)
parser.add_argument("--cases", type=int, default=1)
options = parser.parse_args()
isa = os.environ.get("SCRATCHNET_CPU_ISA")
failures = 0
for seed in range(options.seed, options.seed + options.cases):
    case = draw(seed)
    # printed before it runs: if the process dies, the last line names the case
    print(f"{f'SCRATCHNET_CPU_ISA={isa} ' if isa else ''}python tests/fuzz {seed}  # {case}", end=" ", flush=True)
    found = problems(case)
    print("".join(f"FAIL {problem} " for problem in found), flush=True)
    failures += bool(found)
raise SystemExit(failures > 0)

"""GELU from a few cache lines to main memory: where does the cost of the call end and the cost of memory begin?"""

from scratchnet.cli.bench import sweep

GROWING = ((32, 64), (256, 512), (1024, 3072), (4096, 4096))
SIZES = {"gelu": GROWING, "bias_gelu": GROWING, "geglu": GROWING}

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

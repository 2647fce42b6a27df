"""GELU and its family from a few cache lines to main memory: where does the call end and the memory begin to cost?"""

from scratchnet.cli.bench import sweep

GROWING = ((32, 64), (256, 512), (1024, 3072), (4096, 4096))
SIZES = dict.fromkeys(("gelu", "bias_gelu", "silu", "quick_gelu", "squared_relu", "gated", "glu", "geglu"), GROWING)

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

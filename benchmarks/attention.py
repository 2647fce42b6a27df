"""Attention of short and long sequences, small and large heads, and a size that no block divides."""

from scratchnet.cli.bench import sweep

SIZES = {"attention": ((64, 64), (256, 64), (1024, 64), (2048, 128), (509, 80))}

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

"""Rotary embedding of short and long texts: tokens and the size of a head; the query has three heads, the key one, twice."""

from scratchnet.cli.bench import sweep

SIZES = {"rope": ((16, 64), (512, 64), (512, 128), (8192, 128))}

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

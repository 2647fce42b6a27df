"""Soft clipping in and out of the caches."""

from scratchnet.cli.bench import sweep

SIZES = {"soft_clip": ((32, 64), (4096, 4096))}

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

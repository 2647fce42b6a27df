"""The norms by width, with 12 million elements: rows of small models, of large ones, and rows that leave the first cache.

Batch norm by pixels and channels, from the first layers of a network to its last.
"""

from scratchnet.cli.bench import sweep

WIDTHS = ((32, 64), (98304, 128), (16384, 768), (3072, 4096), (768, 16384))
SIZES = {"layer_norm": WIDTHS, "rms_norm": WIDTHS, "add_layer_norm": WIDTHS, "dropout": WIDTHS[:3]}
SIZES["batch_norm"] = ((16, 16), (50176, 32), (12544, 64), (784, 256), (49, 2048))

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

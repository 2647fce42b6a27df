"""Products of every shape: tiny, square, long (weight gradients), flat (one token per step) and sizes that no tile divides."""

from scratchnet.cli.bench import sweep

SHAPES = ((32, 64), (128, 128), (512, 512), (1024, 1024), (1536, 1536), (64, 8192), (2048, 64), (1, 4096), (257, 509))
IMAGES = ((64, 28), (16, 224), (256, 56), (64, 784), (4, 20000))
SIZES = {"matmul": SHAPES, "linear": SHAPES, "conv2d": IMAGES, "recurrence": ((32, 200), (64, 256))}

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

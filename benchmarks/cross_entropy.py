"""The softmax family by number of classes: ten digits, a thousand images, and the vocabularies of language models."""

from scratchnet.cli.bench import sweep

CLASSES = ((32, 10), (65536, 10), (8192, 1000), (512, 32000), (256, 128256))
SIZES = {
    "cross_entropy": CLASSES,
    "softmax": CLASSES,
    "log_softmax": CLASSES,
    "logsumexp": CLASSES,
    "linear_cross_entropy": ((32, 64), (512, 768), (2048, 256)),  # rows x features; 4 classes per feature
}

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

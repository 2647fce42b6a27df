"""Training loops: `fit` trains one model, `compare` trains ours beside torch's twin."""

from scratchnet.training.compare import Comparison, compare
from scratchnet.training.fit import Epoch, accuracy, batches, classifier, fit, train_step

__all__ = ["Comparison", "Epoch", "accuracy", "batches", "classifier", "compare", "fit", "train_step"]

"""Training: `fit` trains a model, `compare` trains ours beside torch's twin, `TASKS` is real data with models for it."""

from scratchnet.training.batches import Batches
from scratchnet.training.callbacks import lightning_callback, trainer_callback
from scratchnet.training.compare import Comparison, compare
from scratchnet.training.evaluate import evaluate, predict
from scratchnet.training.fit import History, fit, train_step
from scratchnet.training.generate import generate
from scratchnet.training.metrics import accuracy, mae, mse, nats, r2
from scratchnet.training.parallel import processes, shard
from scratchnet.training.plot import plot
from scratchnet.training.tasks import TASKS, Task
from scratchnet.training.watch import watch

__all__ = [
    "Batches",
    "Comparison",
    "History",
    "TASKS",
    "Task",
    "accuracy",
    "compare",
    "evaluate",
    "fit",
    "generate",
    "lightning_callback",
    "mae",
    "mse",
    "nats",
    "plot",
    "predict",
    "processes",
    "r2",
    "shard",
    "train_step",
    "trainer_callback",
    "watch",
]

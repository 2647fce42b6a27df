"""Optimizers under `torch.optim`'s names: `from scratchnet import optim` in place of `from torch import optim`.

The update rules and schedules are ours; parameter groups, hooks and state_dicts are the mechanics of torch's own Optimizer.
Every class is a subclass of torch's class of the same name; Adam8bit and AdamW8bit have none.
"""

import torch.optim
from torch.optim import Optimizer, swa_utils

from scratchnet.drop_in import alias, missing
from scratchnet.optim import lr_scheduler
from scratchnet.optim.adagrad import Adagrad
from scratchnet.optim.adam import Adam
from scratchnet.optim.adam8bit import Adam8bit, AdamW8bit
from scratchnet.optim.adamw import AdamW
from scratchnet.optim.muon import Muon
from scratchnet.optim.rmsprop import RMSprop
from scratchnet.optim.sgd import SGD

__all__ = [
    "Adagrad",
    "Adam",
    "Adam8bit",
    "AdamW",
    "AdamW8bit",
    "Muon",
    "Optimizer",
    "RMSprop",
    "SGD",
    "lr_scheduler",
    "swa_utils",
]

alias(__name__, torch.optim, "swa_utils")
__getattr__ = missing(__name__, torch.optim)

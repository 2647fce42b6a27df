"""Learning-rate schedules under `torch.optim.lr_scheduler`'s names: each parameter group's rate as a function of the epoch.

The schedules are ours; counting epochs, the warnings about the order of calls and the state_dict are the mechanics of torch's
LRScheduler, which they inherit from. The other schedules are torch's own.
"""

from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LRScheduler,
    MultiplicativeLR,
    PolynomialLR,
)

from scratchnet.optim.lr_scheduler.decay import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, MultiStepLR, StepLR
from scratchnet.optim.lr_scheduler.one_cycle import OneCycleLR
from scratchnet.optim.lr_scheduler.plateau import ReduceLROnPlateau
from scratchnet.optim.lr_scheduler.sequential import SequentialLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

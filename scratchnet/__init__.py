"""scratchnet: five primitives, each written once per backend behind one signature, and the network library built on them."""

from importlib import import_module
from types import ModuleType

import torch.fx

from scratchnet.accelerate import accelerate
from scratchnet.backends import backend
from scratchnet.functions.checks import TeachingWarning
from scratchnet.functions.cross_entropy import cross_entropy, linear_cross_entropy, log_softmax, logsumexp, softmax
from scratchnet.functions.gather import embedding, gather
from scratchnet.functions.gelu import bias_gelu, geglu, gelu
from scratchnet.functions.layer_norm import add_layer_norm, layer_norm, rms_norm
from scratchnet.functions.matmul import bmm, linear, matmul, mm

__version__ = "0.1.0"
__all__ = [
    "TeachingWarning",
    "accelerate",
    "add_layer_norm",
    "backend",
    "bias_gelu",
    "bmm",
    "cross_entropy",
    "embedding",
    "gather",
    "geglu",
    "gelu",
    "layer_norm",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "logsumexp",
    "matmul",
    "mm",
    "rms_norm",
    "softmax",
]

for _name in __all__:
    torch.fx.wrap(_name)  # a graph of torch.fx calls the function instead of looking into it

_ROOMS = ("data", "nn", "numpy", "optim", "training")  # imported on first use: the import of scratchnet itself stays short


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})

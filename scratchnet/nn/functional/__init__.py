"""Functions under `torch.nn.functional`'s names: the primitives, and what needs no kernel of its own."""

import torch.nn.functional

from scratchnet.drop_in import missing
from scratchnet.functions.cross_entropy import cross_entropy, linear_cross_entropy
from scratchnet.functions.gather import embedding
from scratchnet.functions.gelu import bias_gelu, geglu, gelu
from scratchnet.functions.layer_norm import add_layer_norm, layer_norm, rms_norm
from scratchnet.functions.matmul import linear
from scratchnet.nn.functional.activation import log_softmax, relu, softmax
from scratchnet.nn.functional.dropouts import dropout
from scratchnet.nn.functional.regression import mse_loss

__all__ = [
    "add_layer_norm",
    "bias_gelu",
    "cross_entropy",
    "dropout",
    "embedding",
    "geglu",
    "gelu",
    "layer_norm",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "mse_loss",
    "relu",
    "rms_norm",
    "softmax",
]

__getattr__ = missing(__name__, torch.nn.functional)

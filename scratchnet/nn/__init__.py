"""Layers and losses under `torch.nn`'s names: `from scratchnet import nn` in place of `from torch import nn`.

Layers, activations and losses are ours; what only holds a network together (Module, Parameter, Sequential, hooks,
initialisers, utils) is torch's own.
"""

import torch.nn
from torch.nn import (
    Buffer,
    Identity,
    Module,
    ModuleDict,
    ModuleList,
    Parameter,
    ParameterDict,
    ParameterList,
    Sequential,
    UninitializedBuffer,
    UninitializedParameter,
    factory_kwargs,
    init,
    parallel,
    parameter,
    utils,
)

from scratchnet.drop_in import alias, missing
from scratchnet.nn import functional
from scratchnet.nn.activation import GELU, ReLU, Softmax
from scratchnet.nn.dropout import Dropout
from scratchnet.nn.flatten import Flatten
from scratchnet.nn.linear import Linear
from scratchnet.nn.loss import CrossEntropyLoss, MSELoss
from scratchnet.nn.normalization import LayerNorm, RMSNorm
from scratchnet.nn.rnn import GRU, LSTM, RNN
from scratchnet.nn.sparse import Embedding

__all__ = [
    "Buffer",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GELU",
    "GRU",
    "Identity",
    "LSTM",
    "LayerNorm",
    "Linear",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RMSNorm",
    "RNN",
    "ReLU",
    "Sequential",
    "Softmax",
    "UninitializedBuffer",
    "UninitializedParameter",
    "factory_kwargs",
    "functional",
    "init",
    "parallel",
    "parameter",
    "utils",
]

alias(__name__, torch.nn, "init", "parallel", "parameter", "utils")
__getattr__ = missing(__name__, torch.nn)

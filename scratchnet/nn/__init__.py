"""Layers and losses under `torch.nn`'s names: `from scratchnet import nn` in place of `from torch import nn`.

Layers, activations, losses, initialisers and gradient clipping are ours; what merely holds a network together (Module,
Parameter, Sequential, hooks, the other utils) is torch's own. A class that torch has too is a subclass of torch's.
"""

import torch.nn
from torch.nn import (
    Buffer,
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
    parallel,
    parameter,
)

from scratchnet.drop_in import alias, leaves, missing
from scratchnet.nn import functional, init, utils
from scratchnet.nn.activation import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softmin, Softplus, Tanh
from scratchnet.nn.attention import MultiheadAttention
from scratchnet.nn.batchnorm import BatchNorm1d, BatchNorm2d
from scratchnet.nn.conv import Conv1d, Conv2d
from scratchnet.nn.dropout import Dropout, Dropout2d
from scratchnet.nn.flatten import Flatten, Unflatten
from scratchnet.nn.language_model import TransformerLM
from scratchnet.nn.linear import Identity, Linear
from scratchnet.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    LinearCrossEntropyLoss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
    TripletMarginLoss,
)
from scratchnet.nn.normalization import LayerNorm, RMSNorm
from scratchnet.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from scratchnet.nn.rnn import GRU, LSTM, RNN
from scratchnet.nn.sparse import Embedding
from scratchnet.nn.transformer import FeedForward, TransformerEncoder, TransformerEncoderLayer

__all__: list[str] = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Conv1d",
    "Conv2d",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "ELU",
    "Embedding",
    "FeedForward",
    "Flatten",
    "GELU",
    "GRU",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LSTM",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RMSNorm",
    "RNN",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Tanh",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "TransformerLM",
    "TripletMarginLoss",
    "Unflatten",
    "UninitializedBuffer",
    "UninitializedParameter",
    "factory_kwargs",
    "functional",
    "init",
    "parallel",
    "parameter",
    "utils",
]

if hasattr(torch.nn, "LinearCrossEntropyOptions"):  # newer than the oldest torch we support
    LinearCrossEntropyOptions = torch.nn.LinearCrossEntropyOptions
    __all__.append("LinearCrossEntropyOptions")
alias(__name__, torch.nn, "parallel", "parameter")
leaves(__name__)
__getattr__ = missing(__name__, torch.nn)

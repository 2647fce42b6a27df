"""Layers and losses under `torch.nn`'s names: `from scratchnet import nn` in place of `from torch import nn`.

Every name of torch.nn is here. Layers, activations, losses, initialisers and gradient clipping of the primitives' families
are ours; what merely holds a network together (Module, Parameter, Sequential, hooks, the other utils) is torch's own, and so
are the layers for which torchs_own.py has the reason. Each of ours that torch has too is a subclass of torch's.
"""

import torch.nn
from torch.nn import CELU as CELU
from torch.nn import SELU as SELU
from torch.nn import AdaptiveAvgPool1d as AdaptiveAvgPool1d
from torch.nn import AdaptiveAvgPool3d as AdaptiveAvgPool3d
from torch.nn import AdaptiveLogSoftmaxWithLoss as AdaptiveLogSoftmaxWithLoss
from torch.nn import AdaptiveMaxPool1d as AdaptiveMaxPool1d
from torch.nn import AdaptiveMaxPool2d as AdaptiveMaxPool2d
from torch.nn import AdaptiveMaxPool3d as AdaptiveMaxPool3d
from torch.nn import AlphaDropout as AlphaDropout
from torch.nn import AvgPool1d as AvgPool1d
from torch.nn import AvgPool3d as AvgPool3d
from torch.nn import Bilinear as Bilinear
from torch.nn import Buffer as Buffer
from torch.nn import ChannelShuffle as ChannelShuffle
from torch.nn import CircularPad1d as CircularPad1d
from torch.nn import CircularPad2d as CircularPad2d
from torch.nn import CircularPad3d as CircularPad3d
from torch.nn import ConstantPad1d as ConstantPad1d
from torch.nn import ConstantPad2d as ConstantPad2d
from torch.nn import ConstantPad3d as ConstantPad3d
from torch.nn import Container as Container
from torch.nn import Conv3d as Conv3d
from torch.nn import ConvTranspose1d as ConvTranspose1d
from torch.nn import ConvTranspose2d as ConvTranspose2d
from torch.nn import ConvTranspose3d as ConvTranspose3d
from torch.nn import CosineSimilarity as CosineSimilarity
from torch.nn import CrossMapLRN2d as CrossMapLRN2d
from torch.nn import CTCLoss as CTCLoss
from torch.nn import DataParallel as DataParallel
from torch.nn import Dropout1d as Dropout1d
from torch.nn import Dropout3d as Dropout3d
from torch.nn import FeatureAlphaDropout as FeatureAlphaDropout
from torch.nn import Fold as Fold
from torch.nn import FractionalMaxPool2d as FractionalMaxPool2d
from torch.nn import FractionalMaxPool3d as FractionalMaxPool3d
from torch.nn import GaussianNLLLoss as GaussianNLLLoss
from torch.nn import GroupNorm as GroupNorm
from torch.nn import GRUCell as GRUCell
from torch.nn import Hardshrink as Hardshrink
from torch.nn import Hardsigmoid as Hardsigmoid
from torch.nn import Hardswish as Hardswish
from torch.nn import Hardtanh as Hardtanh
from torch.nn import HingeEmbeddingLoss as HingeEmbeddingLoss
from torch.nn import LazyConv3d as LazyConv3d
from torch.nn import LazyConvTranspose1d as LazyConvTranspose1d
from torch.nn import LazyConvTranspose2d as LazyConvTranspose2d
from torch.nn import LazyConvTranspose3d as LazyConvTranspose3d
from torch.nn import LocalResponseNorm as LocalResponseNorm
from torch.nn import LogSigmoid as LogSigmoid
from torch.nn import LPPool1d as LPPool1d
from torch.nn import LPPool2d as LPPool2d
from torch.nn import LPPool3d as LPPool3d
from torch.nn import LSTMCell as LSTMCell
from torch.nn import MarginRankingLoss as MarginRankingLoss
from torch.nn import MaxPool1d as MaxPool1d
from torch.nn import MaxPool3d as MaxPool3d
from torch.nn import MaxUnpool1d as MaxUnpool1d
from torch.nn import MaxUnpool2d as MaxUnpool2d
from torch.nn import MaxUnpool3d as MaxUnpool3d
from torch.nn import Mish as Mish
from torch.nn import Module as Module
from torch.nn import ModuleDict as ModuleDict
from torch.nn import ModuleList as ModuleList
from torch.nn import MultiLabelMarginLoss as MultiLabelMarginLoss
from torch.nn import MultiLabelSoftMarginLoss as MultiLabelSoftMarginLoss
from torch.nn import MultiMarginLoss as MultiMarginLoss
from torch.nn import NLLLoss2d as NLLLoss2d
from torch.nn import PairwiseDistance as PairwiseDistance
from torch.nn import Parameter as Parameter
from torch.nn import ParameterDict as ParameterDict
from torch.nn import ParameterList as ParameterList
from torch.nn import PixelShuffle as PixelShuffle
from torch.nn import PixelUnshuffle as PixelUnshuffle
from torch.nn import PoissonNLLLoss as PoissonNLLLoss
from torch.nn import PReLU as PReLU
from torch.nn import ReflectionPad1d as ReflectionPad1d
from torch.nn import ReflectionPad2d as ReflectionPad2d
from torch.nn import ReflectionPad3d as ReflectionPad3d
from torch.nn import ReLU6 as ReLU6
from torch.nn import ReplicationPad1d as ReplicationPad1d
from torch.nn import ReplicationPad2d as ReplicationPad2d
from torch.nn import ReplicationPad3d as ReplicationPad3d
from torch.nn import RNNCell as RNNCell
from torch.nn import RNNCellBase as RNNCellBase
from torch.nn import RReLU as RReLU
from torch.nn import Sequential as Sequential
from torch.nn import SoftMarginLoss as SoftMarginLoss
from torch.nn import Softshrink as Softshrink
from torch.nn import Softsign as Softsign
from torch.nn import SyncBatchNorm as SyncBatchNorm
from torch.nn import Tanhshrink as Tanhshrink
from torch.nn import Threshold as Threshold
from torch.nn import TransformerDecoder as TransformerDecoder
from torch.nn import TripletMarginWithDistanceLoss as TripletMarginWithDistanceLoss
from torch.nn import Unfold as Unfold
from torch.nn import UninitializedBuffer as UninitializedBuffer
from torch.nn import UninitializedParameter as UninitializedParameter
from torch.nn import Upsample as Upsample
from torch.nn import UpsamplingBilinear2d as UpsamplingBilinear2d
from torch.nn import UpsamplingNearest2d as UpsamplingNearest2d
from torch.nn import ZeroPad1d as ZeroPad1d
from torch.nn import ZeroPad2d as ZeroPad2d
from torch.nn import ZeroPad3d as ZeroPad3d
from torch.nn import common_types as common_types
from torch.nn import factory_kwargs as factory_kwargs
from torch.nn import grad as grad
from torch.nn import intrinsic as intrinsic
from torch.nn import modules as modules
from torch.nn import parallel as parallel
from torch.nn import parameter as parameter
from torch.nn import qat as qat
from torch.nn import quantizable as quantizable
from torch.nn import quantized as quantized

# `x as x` marks a public name, for type checkers too; __all__ follows from these imports.
from scratchnet import drop_in
from scratchnet.nn import functional as functional
from scratchnet.nn import init as init
from scratchnet.nn import utils as utils
from scratchnet.nn.activation import ELU as ELU
from scratchnet.nn.activation import GELU as GELU
from scratchnet.nn.activation import GLU as GLU
from scratchnet.nn.activation import LeakyReLU as LeakyReLU
from scratchnet.nn.activation import LogSoftmax as LogSoftmax
from scratchnet.nn.activation import ReLU as ReLU
from scratchnet.nn.activation import Sigmoid as Sigmoid
from scratchnet.nn.activation import SiLU as SiLU
from scratchnet.nn.activation import Softmax as Softmax
from scratchnet.nn.activation import Softmax2d as Softmax2d
from scratchnet.nn.activation import Softmin as Softmin
from scratchnet.nn.activation import Softplus as Softplus
from scratchnet.nn.activation import Tanh as Tanh
from scratchnet.nn.attention import MultiheadAttention as MultiheadAttention
from scratchnet.nn.batchnorm import BatchNorm1d as BatchNorm1d
from scratchnet.nn.batchnorm import BatchNorm2d as BatchNorm2d
from scratchnet.nn.batchnorm import BatchNorm3d as BatchNorm3d
from scratchnet.nn.conv import Conv1d as Conv1d
from scratchnet.nn.conv import Conv2d as Conv2d
from scratchnet.nn.decoder import Transformer as Transformer
from scratchnet.nn.decoder import TransformerDecoderLayer as TransformerDecoderLayer
from scratchnet.nn.dropout import Dropout as Dropout
from scratchnet.nn.dropout import Dropout2d as Dropout2d
from scratchnet.nn.flatten import Flatten as Flatten
from scratchnet.nn.flatten import Unflatten as Unflatten
from scratchnet.nn.instancenorm import InstanceNorm1d as InstanceNorm1d
from scratchnet.nn.instancenorm import InstanceNorm2d as InstanceNorm2d
from scratchnet.nn.instancenorm import InstanceNorm3d as InstanceNorm3d
from scratchnet.nn.language_model import TransformerLM as TransformerLM
from scratchnet.nn.lazy import LazyBatchNorm1d as LazyBatchNorm1d
from scratchnet.nn.lazy import LazyBatchNorm2d as LazyBatchNorm2d
from scratchnet.nn.lazy import LazyBatchNorm3d as LazyBatchNorm3d
from scratchnet.nn.lazy import LazyConv1d as LazyConv1d
from scratchnet.nn.lazy import LazyConv2d as LazyConv2d
from scratchnet.nn.lazy import LazyInstanceNorm1d as LazyInstanceNorm1d
from scratchnet.nn.lazy import LazyInstanceNorm2d as LazyInstanceNorm2d
from scratchnet.nn.lazy import LazyInstanceNorm3d as LazyInstanceNorm3d
from scratchnet.nn.lazy import LazyLinear as LazyLinear
from scratchnet.nn.linear import Identity as Identity
from scratchnet.nn.linear import Linear as Linear
from scratchnet.nn.loss import BCELoss as BCELoss
from scratchnet.nn.loss import BCEWithLogitsLoss as BCEWithLogitsLoss
from scratchnet.nn.loss import CosineEmbeddingLoss as CosineEmbeddingLoss
from scratchnet.nn.loss import CrossEntropyLoss as CrossEntropyLoss
from scratchnet.nn.loss import HuberLoss as HuberLoss
from scratchnet.nn.loss import KLDivLoss as KLDivLoss
from scratchnet.nn.loss import L1Loss as L1Loss
from scratchnet.nn.loss import LinearCrossEntropyLoss as LinearCrossEntropyLoss
from scratchnet.nn.loss import MSELoss as MSELoss
from scratchnet.nn.loss import NLLLoss as NLLLoss
from scratchnet.nn.loss import SmoothL1Loss as SmoothL1Loss
from scratchnet.nn.loss import TripletMarginLoss as TripletMarginLoss
from scratchnet.nn.normalization import LayerNorm as LayerNorm
from scratchnet.nn.normalization import RMSNorm as RMSNorm
from scratchnet.nn.pooling import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from scratchnet.nn.pooling import AvgPool2d as AvgPool2d
from scratchnet.nn.pooling import MaxPool2d as MaxPool2d
from scratchnet.nn.rnn import GRU as GRU
from scratchnet.nn.rnn import LSTM as LSTM
from scratchnet.nn.rnn import RNN as RNN
from scratchnet.nn.rnn import RNNBase as RNNBase
from scratchnet.nn.rotary import RotaryEmbedding as RotaryEmbedding
from scratchnet.nn.sparse import Embedding as Embedding
from scratchnet.nn.sparse import EmbeddingBag as EmbeddingBag
from scratchnet.nn.transformer import FeedForward as FeedForward
from scratchnet.nn.transformer import TransformerEncoder as TransformerEncoder
from scratchnet.nn.transformer import TransformerEncoderLayer as TransformerEncoderLayer

_rooms = ("common_types", "grad", "intrinsic", "modules", "parallel", "parameter", "qat", "quantizable", "quantized")
__all__: list[str] = [*drop_in.public(globals()), *_rooms, "functional", "init", "utils"]
if hasattr(torch.nn, "LinearCrossEntropyOptions"):  # newer than the oldest torch we support
    LinearCrossEntropyOptions = torch.nn.LinearCrossEntropyOptions
    __all__.append("LinearCrossEntropyOptions")
drop_in.alias(__name__, torch.nn, *_rooms)
drop_in.leaves(__name__)
__getattr__ = drop_in.missing(__name__, torch.nn)

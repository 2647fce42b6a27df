"""Networks on float64 NumPy arrays, every backward derived by hand.

The layers compute with `scratchnet.oracle`, or with the compiled kernels of the same operators: `NeuralNetwork(backend="cpp")`.
The pairs of the oracle that networks need can be imported from here too.
"""

from scratchnet.numpy.activation import (
    activation_pair,
    relu,
    relu_derivative,
    sigmoid,
    sigmoid_derivative,
    tanh_derivative,
)
from scratchnet.numpy.convolution import Conv2D, conv2d_backward, conv2d_forward
from scratchnet.numpy.dense import Dense, dense_backward, dense_forward
from scratchnet.numpy.dropout import Dropout, dropout_backward, dropout_forward
from scratchnet.numpy.flatten import Flatten
from scratchnet.numpy.kernels import kernel_table
from scratchnet.numpy.layer import Layer
from scratchnet.numpy.networks import CNN, NeuralNetwork
from scratchnet.numpy.normalization import BatchNorm, LayerNorm
from scratchnet.numpy.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from scratchnet.numpy.pooling import AvgPool2D, MaxPool2D
from scratchnet.oracle import batch_norm, conv2d, cross_entropy, gather, gelu, layer_norm, matmul, pool2d, recurrence
from scratchnet.oracle.batch_norm import batch_norm_backward, batch_norm_forward
from scratchnet.oracle.cross_entropy import (
    cross_entropy_backward,
    cross_entropy_forward,
    softmax_backward,
    softmax_forward,
)
from scratchnet.oracle.gather import embedding_backward, embedding_forward, gather_backward, gather_forward
from scratchnet.oracle.gelu import gelu_backward, gelu_forward
from scratchnet.oracle.layer_norm import layer_norm_backward, layer_norm_forward
from scratchnet.oracle.pool2d import avg_pool2d_backward, avg_pool2d_forward, max_pool2d_backward, max_pool2d_forward
from scratchnet.oracle.windows import col2im, im2col

__all__ = [
    "Adam",
    "AdamW",
    "AvgPool2D",
    "BatchNorm",
    "CNN",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LayerNorm",
    "MaxPool2D",
    "NeuralNetwork",
    "Optimizer",
    "RMSprop",
    "SGD",
    "activation_pair",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_forward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv2d_forward",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "dense_backward",
    "dense_forward",
    "dropout_backward",
    "dropout_forward",
    "embedding_backward",
    "embedding_forward",
    "gather",
    "gather_backward",
    "gather_forward",
    "gelu",
    "gelu_backward",
    "gelu_forward",
    "im2col",
    "kernel_table",
    "layer_norm",
    "layer_norm_backward",
    "layer_norm_forward",
    "matmul",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "pool2d",
    "recurrence",
    "relu",
    "relu_derivative",
    "sigmoid",
    "sigmoid_derivative",
    "softmax_backward",
    "softmax_forward",
    "tanh_derivative",
]

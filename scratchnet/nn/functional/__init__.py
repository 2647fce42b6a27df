"""Functions under `torch.nn.functional`'s names: the primitives, what is built from them, activations and losses.

Functions that only move numbers or measure vectors and belong to no primitive's family (pad, one_hot, normalize, ...) are
torch's own.
"""

import torch.fx
import torch.nn.functional
from torch.nn.functional import (
    cosine_similarity,
    normalize,
    one_hot,
    pad,
    pairwise_distance,
    scaled_dot_product_attention,
)

from scratchnet.drop_in import missing
from scratchnet.functions.batch_norm import batch_norm
from scratchnet.functions.conv2d import conv1d, conv2d
from scratchnet.functions.cross_entropy import cross_entropy, linear_cross_entropy
from scratchnet.functions.gather import embedding
from scratchnet.functions.gelu import bias_gelu, geglu, gelu
from scratchnet.functions.layer_norm import add_layer_norm, layer_norm, rms_norm
from scratchnet.functions.matmul import linear
from scratchnet.functions.pool2d import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from scratchnet.nn.functional.activation import (
    elu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    tanh,
)
from scratchnet.nn.functional.classification import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    kl_div,
    nll_loss,
)
from scratchnet.nn.functional.dropouts import dropout, dropout2d
from scratchnet.nn.functional.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from scratchnet.nn.functional.similarity import cosine_embedding_loss, triplet_margin_loss

__all__ = [
    "adaptive_avg_pool2d",
    "add_layer_norm",
    "avg_pool2d",
    "batch_norm",
    "bias_gelu",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout2d",
    "elu",
    "embedding",
    "geglu",
    "gelu",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "relu",
    "rms_norm",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "tanh",
    "triplet_margin_loss",
]

__getattr__ = missing(__name__, torch.nn.functional)
for _name in __all__:
    torch.fx.wrap(_name)  # torch.fx records a call of the function instead of tracing into it

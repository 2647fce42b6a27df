"""Functions under `torch.nn.functional`'s names: the primitives, what is built from them, activations and losses.

Functions that only move numbers or measure vectors and belong to no primitive's family (pad, one_hot, normalize, ...) are
torch's own.
"""

import torch.fx
import torch.nn.functional
from torch.nn.functional import cosine_similarity as cosine_similarity
from torch.nn.functional import normalize as normalize
from torch.nn.functional import one_hot as one_hot
from torch.nn.functional import pad as pad
from torch.nn.functional import pairwise_distance as pairwise_distance

# `x as x` marks a public name, for type checkers too; __all__ follows from these imports.
from scratchnet import drop_in
from scratchnet.functions.attention import scaled_dot_product_attention as scaled_dot_product_attention
from scratchnet.functions.batch_norm import batch_norm as batch_norm
from scratchnet.functions.conv2d import conv1d as conv1d
from scratchnet.functions.conv2d import conv2d as conv2d
from scratchnet.functions.cross_entropy import cross_entropy as cross_entropy
from scratchnet.functions.cross_entropy import linear_cross_entropy as linear_cross_entropy
from scratchnet.functions.gather import embedding as embedding
from scratchnet.functions.gelu import bias_gelu as bias_gelu
from scratchnet.functions.gelu import geglu as geglu
from scratchnet.functions.gelu import gelu as gelu
from scratchnet.functions.layer_norm import add_layer_norm as add_layer_norm
from scratchnet.functions.layer_norm import layer_norm as layer_norm
from scratchnet.functions.layer_norm import rms_norm as rms_norm
from scratchnet.functions.matmul import linear as linear
from scratchnet.functions.pool2d import adaptive_avg_pool2d as adaptive_avg_pool2d
from scratchnet.functions.pool2d import avg_pool2d as avg_pool2d
from scratchnet.functions.pool2d import max_pool2d as max_pool2d
from scratchnet.nn.functional.activation import elu as elu
from scratchnet.nn.functional.activation import leaky_relu as leaky_relu
from scratchnet.nn.functional.activation import log_softmax as log_softmax
from scratchnet.nn.functional.activation import relu as relu
from scratchnet.nn.functional.activation import sigmoid as sigmoid
from scratchnet.nn.functional.activation import silu as silu
from scratchnet.nn.functional.activation import softmax as softmax
from scratchnet.nn.functional.activation import softmin as softmin
from scratchnet.nn.functional.activation import softplus as softplus
from scratchnet.nn.functional.activation import tanh as tanh
from scratchnet.nn.functional.classification import binary_cross_entropy as binary_cross_entropy
from scratchnet.nn.functional.classification import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from scratchnet.nn.functional.classification import kl_div as kl_div
from scratchnet.nn.functional.classification import nll_loss as nll_loss
from scratchnet.nn.functional.dropouts import dropout as dropout
from scratchnet.nn.functional.dropouts import dropout2d as dropout2d
from scratchnet.nn.functional.regression import huber_loss as huber_loss
from scratchnet.nn.functional.regression import l1_loss as l1_loss
from scratchnet.nn.functional.regression import mse_loss as mse_loss
from scratchnet.nn.functional.regression import smooth_l1_loss as smooth_l1_loss
from scratchnet.nn.functional.similarity import cosine_embedding_loss as cosine_embedding_loss
from scratchnet.nn.functional.similarity import triplet_margin_loss as triplet_margin_loss

__all__ = drop_in.public(globals())
__getattr__ = drop_in.missing(__name__, torch.nn.functional)
for _name in __all__:
    torch.fx.wrap(_name)  # torch.fx records a call of the function instead of tracing into it

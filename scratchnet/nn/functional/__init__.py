"""Functions under `torch.nn.functional`'s names: the primitives, what is built from them, activations and losses.

What belongs to no primitive's family is torch's own, so that every name is here: functions that move numbers (pad, fold,
pixel_shuffle), elementwise ones that are one operation (mish, hardswish), windows over lines and volumes, transposed
convolutions, group_norm, losses of a few elementwise operations, distances. nn/torchs_own.py has the reasons.
"""

import torch.fx
import torch.nn.functional
from torch.nn.functional import adaptive_avg_pool1d as adaptive_avg_pool1d
from torch.nn.functional import adaptive_avg_pool3d as adaptive_avg_pool3d
from torch.nn.functional import adaptive_max_pool1d as adaptive_max_pool1d
from torch.nn.functional import adaptive_max_pool1d_with_indices as adaptive_max_pool1d_with_indices
from torch.nn.functional import adaptive_max_pool2d as adaptive_max_pool2d
from torch.nn.functional import adaptive_max_pool2d_with_indices as adaptive_max_pool2d_with_indices
from torch.nn.functional import adaptive_max_pool3d as adaptive_max_pool3d
from torch.nn.functional import adaptive_max_pool3d_with_indices as adaptive_max_pool3d_with_indices
from torch.nn.functional import affine_grid as affine_grid
from torch.nn.functional import alpha_dropout as alpha_dropout
from torch.nn.functional import avg_pool1d as avg_pool1d
from torch.nn.functional import avg_pool3d as avg_pool3d
from torch.nn.functional import bilinear as bilinear
from torch.nn.functional import celu as celu
from torch.nn.functional import celu_ as celu_
from torch.nn.functional import channel_shuffle as channel_shuffle
from torch.nn.functional import conv3d as conv3d
from torch.nn.functional import conv_tbc as conv_tbc
from torch.nn.functional import conv_transpose1d as conv_transpose1d
from torch.nn.functional import conv_transpose2d as conv_transpose2d
from torch.nn.functional import conv_transpose3d as conv_transpose3d
from torch.nn.functional import cosine_similarity as cosine_similarity
from torch.nn.functional import ctc_loss as ctc_loss
from torch.nn.functional import dropout1d as dropout1d
from torch.nn.functional import dropout3d as dropout3d
from torch.nn.functional import elu_ as elu_
from torch.nn.functional import feature_alpha_dropout as feature_alpha_dropout
from torch.nn.functional import fold as fold
from torch.nn.functional import fractional_max_pool2d as fractional_max_pool2d
from torch.nn.functional import fractional_max_pool2d_with_indices as fractional_max_pool2d_with_indices
from torch.nn.functional import fractional_max_pool3d as fractional_max_pool3d
from torch.nn.functional import fractional_max_pool3d_with_indices as fractional_max_pool3d_with_indices
from torch.nn.functional import gaussian_nll_loss as gaussian_nll_loss
from torch.nn.functional import grid_sample as grid_sample
from torch.nn.functional import group_norm as group_norm
from torch.nn.functional import gumbel_softmax as gumbel_softmax
from torch.nn.functional import hardshrink as hardshrink
from torch.nn.functional import hardsigmoid as hardsigmoid
from torch.nn.functional import hardswish as hardswish
from torch.nn.functional import hardtanh as hardtanh
from torch.nn.functional import hardtanh_ as hardtanh_
from torch.nn.functional import hinge_embedding_loss as hinge_embedding_loss
from torch.nn.functional import interpolate as interpolate
from torch.nn.functional import leaky_relu_ as leaky_relu_
from torch.nn.functional import local_response_norm as local_response_norm
from torch.nn.functional import logsigmoid as logsigmoid
from torch.nn.functional import lp_pool1d as lp_pool1d
from torch.nn.functional import lp_pool2d as lp_pool2d
from torch.nn.functional import lp_pool3d as lp_pool3d
from torch.nn.functional import margin_ranking_loss as margin_ranking_loss
from torch.nn.functional import max_pool1d as max_pool1d
from torch.nn.functional import max_pool1d_with_indices as max_pool1d_with_indices
from torch.nn.functional import max_pool2d_with_indices as max_pool2d_with_indices
from torch.nn.functional import max_pool3d as max_pool3d
from torch.nn.functional import max_pool3d_with_indices as max_pool3d_with_indices
from torch.nn.functional import max_unpool1d as max_unpool1d
from torch.nn.functional import max_unpool2d as max_unpool2d
from torch.nn.functional import max_unpool3d as max_unpool3d
from torch.nn.functional import mish as mish
from torch.nn.functional import multi_head_attention_forward as multi_head_attention_forward
from torch.nn.functional import multi_margin_loss as multi_margin_loss
from torch.nn.functional import multilabel_margin_loss as multilabel_margin_loss
from torch.nn.functional import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from torch.nn.functional import native_channel_shuffle as native_channel_shuffle
from torch.nn.functional import normalize as normalize
from torch.nn.functional import one_hot as one_hot
from torch.nn.functional import pad as pad
from torch.nn.functional import pairwise_distance as pairwise_distance
from torch.nn.functional import pdist as pdist
from torch.nn.functional import pixel_shuffle as pixel_shuffle
from torch.nn.functional import pixel_unshuffle as pixel_unshuffle
from torch.nn.functional import poisson_nll_loss as poisson_nll_loss
from torch.nn.functional import prelu as prelu
from torch.nn.functional import relu6 as relu6
from torch.nn.functional import relu_ as relu_
from torch.nn.functional import rrelu as rrelu
from torch.nn.functional import rrelu_ as rrelu_
from torch.nn.functional import selu as selu
from torch.nn.functional import selu_ as selu_
from torch.nn.functional import soft_margin_loss as soft_margin_loss
from torch.nn.functional import softshrink as softshrink
from torch.nn.functional import softsign as softsign
from torch.nn.functional import tanhshrink as tanhshrink
from torch.nn.functional import threshold as threshold
from torch.nn.functional import threshold_ as threshold_
from torch.nn.functional import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
from torch.nn.functional import unfold as unfold
from torch.nn.functional import upsample as upsample
from torch.nn.functional import upsample_bilinear as upsample_bilinear
from torch.nn.functional import upsample_nearest as upsample_nearest

# `x as x` marks a public name, for type checkers too; __all__ follows from these imports.
from scratchnet import drop_in
from scratchnet.functions.attention import scaled_dot_product_attention as scaled_dot_product_attention
from scratchnet.functions.attention import varlen_attn as varlen_attn
from scratchnet.functions.batch_norm import batch_norm as batch_norm
from scratchnet.functions.batch_norm import instance_norm as instance_norm
from scratchnet.functions.conv2d import conv1d as conv1d
from scratchnet.functions.conv2d import conv2d as conv2d
from scratchnet.functions.cross_entropy import cross_entropy as cross_entropy
from scratchnet.functions.cross_entropy import linear_cross_entropy as linear_cross_entropy
from scratchnet.functions.dropout import dropout as dropout
from scratchnet.functions.embedding_bag import embedding_bag as embedding_bag
from scratchnet.functions.gated import gated as gated
from scratchnet.functions.gated import geglu as geglu
from scratchnet.functions.gated import glu as glu
from scratchnet.functions.gated import quick_gelu as quick_gelu
from scratchnet.functions.gated import reglu as reglu
from scratchnet.functions.gated import silu as silu
from scratchnet.functions.gated import squared_relu as squared_relu
from scratchnet.functions.gated import swiglu as swiglu
from scratchnet.functions.gather import embedding as embedding
from scratchnet.functions.gelu import bias_gelu as bias_gelu
from scratchnet.functions.gelu import gelu as gelu
from scratchnet.functions.hidden_states import dpo_loss as dpo_loss
from scratchnet.functions.hidden_states import linear_distillation as linear_distillation
from scratchnet.functions.hidden_states import linear_sequence_log_prob as linear_sequence_log_prob
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
from scratchnet.nn.functional.activation import softmax as softmax
from scratchnet.nn.functional.activation import softmin as softmin
from scratchnet.nn.functional.activation import softplus as softplus
from scratchnet.nn.functional.activation import tanh as tanh
from scratchnet.nn.functional.classification import binary_cross_entropy as binary_cross_entropy
from scratchnet.nn.functional.classification import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from scratchnet.nn.functional.classification import kl_div as kl_div
from scratchnet.nn.functional.classification import nll_loss as nll_loss
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

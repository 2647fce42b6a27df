"""scratchnet: primitives, each written once per backend behind one signature, and the network library built on them."""

import importlib
import types

import torch.fx

# `x as x` marks a public name, for type checkers too; __all__ follows from these imports.
from scratchnet import drop_in
from scratchnet.accelerate import accelerate as accelerate
from scratchnet.accelerate import decelerate as decelerate
from scratchnet.backends import backend as backend
from scratchnet.functions.attention import scaled_dot_product_attention as scaled_dot_product_attention
from scratchnet.functions.checks import TeachingWarning as TeachingWarning
from scratchnet.functions.cross_entropy import cross_entropy as cross_entropy
from scratchnet.functions.cross_entropy import linear_cross_entropy as linear_cross_entropy
from scratchnet.functions.cross_entropy import log_softmax as log_softmax
from scratchnet.functions.cross_entropy import logsumexp as logsumexp
from scratchnet.functions.cross_entropy import softmax as softmax
from scratchnet.functions.dropout import dropout as dropout
from scratchnet.functions.embedding_bag import segment_reduce as segment_reduce
from scratchnet.functions.gated import gated as gated
from scratchnet.functions.gated import geglu as geglu
from scratchnet.functions.gated import glu as glu
from scratchnet.functions.gated import quick_gelu as quick_gelu
from scratchnet.functions.gated import reglu as reglu
from scratchnet.functions.gated import silu as silu
from scratchnet.functions.gated import squared_relu as squared_relu
from scratchnet.functions.gated import swiglu as swiglu
from scratchnet.functions.gather import embedding as embedding
from scratchnet.functions.gather import gather as gather
from scratchnet.functions.gelu import bias_gelu as bias_gelu
from scratchnet.functions.gelu import gelu as gelu
from scratchnet.functions.layer_norm import add_layer_norm as add_layer_norm
from scratchnet.functions.layer_norm import layer_norm as layer_norm
from scratchnet.functions.layer_norm import rms_norm as rms_norm
from scratchnet.functions.matmul import bmm as bmm
from scratchnet.functions.matmul import linear as linear
from scratchnet.functions.matmul import matmul as matmul
from scratchnet.functions.matmul import mm as mm
from scratchnet.functions.rope import rope as rope
from scratchnet.functions.scatter import index_add as index_add
from scratchnet.functions.scatter import scatter_add as scatter_add

__version__ = "0.1.0"
__all__ = drop_in.public(globals())
for _name in __all__:
    torch.fx.wrap(_name)  # torch.fx records a call of the function instead of tracing into it

_ROOMS = ("data", "nn", "numpy", "optim", "training")  # imported on first use, so that importing scratchnet itself stays fast


def __getattr__(name: str) -> types.ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})

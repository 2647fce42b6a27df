"""scratchnet: five primitives, each written once per backend behind one signature, and a neural-network library built on them."""

from scratchnet.backends import backend
from scratchnet.functions.cross_entropy import log_softmax, logsumexp, softmax
from scratchnet.functions.gather import gather
from scratchnet.functions.gelu import bias_gelu, geglu, gelu
from scratchnet.functions.matmul import bmm, matmul, mm

__version__ = "0.1.0"
__all__ = [
    "backend",
    "bias_gelu",
    "bmm",
    "gather",
    "geglu",
    "gelu",
    "log_softmax",
    "logsumexp",
    "matmul",
    "mm",
    "softmax",
]

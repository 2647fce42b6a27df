"""scratchnet: five primitives, each written once per backend behind one signature, and a neural-network library built on them."""

from scratchnet.backends import backend
from scratchnet.functions.gelu import bias_gelu, geglu, gelu

__version__ = "0.1.0"
__all__ = ["backend", "bias_gelu", "geglu", "gelu"]

"""The oracle: every operator in float64 NumPy with a hand-derived backward, one file a primitive.

Floating arrays are float64 (the caller widens), indices are integers; a 0-d result may be a NumPy scalar.
"""

from scratchnet.numpy import cross_entropy, gather, gelu, layer_norm, matmul

__all__ = ["cross_entropy", "gather", "gelu", "layer_norm", "matmul"]

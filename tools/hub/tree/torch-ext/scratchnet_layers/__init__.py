"""Fused CPU kernels of scratchnet, forward only: functions with torch's names, and the layers that call them."""

from . import layers
from .functions import (
    add_layer_norm,
    cross_entropy,
    embedding,
    geglu,
    gelu,
    layer_norm,
    linear_cross_entropy,
    rms_norm,
    swiglu,
)

__all__ = [
    "add_layer_norm",
    "cross_entropy",
    "embedding",
    "geglu",
    "gelu",
    "layer_norm",
    "layers",
    "linear_cross_entropy",
    "rms_norm",
    "swiglu",
]

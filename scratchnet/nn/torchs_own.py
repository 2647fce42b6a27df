"""Why some layers of scratchnet.nn, and their functions, are torch's own: by their file in torch.nn.modules."""

from __future__ import annotations

from torch.nn import Module

_MOVES = "it moves numbers and computes nothing"
_ELEMENTWISE = "one elementwise operation of torch's, and ours would be the same pass over memory"
_FEW = "a few elementwise operations of torch's, none of which one of our primitives computes"

WHY = {
    "activation": _ELEMENTWISE,
    "adaptive": "its clusters are layers of its own; inside a model `scratchnet.accelerate` turns them into ours",
    "batchnorm": "its statistics are exchanged between processes",
    "channelshuffle": _MOVES,
    "conv": "our convolution is that of a plane, with its gradients; this one is over volumes or goes the other way",
    "distance": "a few sums over vectors, which torch has as one operation",
    "dropout": "one draw and one product of torch's",
    "fold": _MOVES,
    "linear": "a product of three tensors, which none of our primitives is",
    "loss": _FEW,
    # GroupNorm as a row of layer_norm per group, then weight and bias: 1.1 to 3 times torch's time (AVX-512, 1 and 2 threads)
    "normalization": "groups of channels, for which torch's own was measured to be faster, or neighbouring channels",
    "padding": _MOVES,
    "pixelshuffle": _MOVES,
    "pooling": "our windows are those of maxima and means over planes",
    "rnn": "a single step is a product and a few elementwise operations; ours walks whole sequences",
    "upsampling": "it moves numbers and takes means of neighbours, which torch has as one operation",
}


def why(kind: type[Module]) -> str | None:
    """Why a layer of torch.nn's is not one of ours; None for one that is, for what only holds layers, for other classes."""
    package, _, file = kind.__module__.rpartition(".")
    return WHY.get(file) if package == "torch.nn.modules" else None

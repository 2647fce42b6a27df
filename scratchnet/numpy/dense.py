"""The dense layer on column-major data, one sample per column.

Forward:   Z = W A + b                        W (out, in), A (in, m), b (out, 1)
Backward:  with dZ = dL/dZ,

    dW = dZ A^T        db = sum of the columns of dZ        dA = W^T dZ

It is the linear layer of scratchnet.oracle.matmul with its data transposed, X = A^T and Y = Z^T: W is that of torch.nn.Linear.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from scratchnet.numpy.kernels import NUMPY
from scratchnet.numpy.layer import Seed, WeightedLayer
from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.matmul import LinearOptions

_NONE = LinearOptions(ACTIVATIONS.index("none"))  # the activation is not part of the product here


def dense_forward(a_prev: np.ndarray, W: np.ndarray, b: np.ndarray, kernels: SimpleNamespace = NUMPY) -> np.ndarray:
    """z (out, m) = W (out, in) a_prev (in, m) + b (out, 1)."""
    return kernels.linear_forward(a_prev.T, W, b[:, 0], _NONE)[0].T


def dense_backward(
    dz: np.ndarray, a_prev: np.ndarray, W: np.ndarray, kernels: SimpleNamespace = NUMPY
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """da_prev (in, m), dW (out, in) and db (out, 1) from dz (out, m)."""
    da_prev, dW, db = kernels.linear_backward(dz.T, a_prev.T, W, np.empty(0), _NONE, True, True, True)
    return da_prev.T, dW, db[:, None]


class Dense(WeightedLayer):
    """a (output_size, m) = activation(W a_prev + b) for a_prev (input_size, m).

    W (output_size, input_size) is standard normal times 0.01 (`init`: "small", "xavier" or "he"), b (output_size, 1) zero.
    activation: "relu", "sigmoid", "tanh", "gelu", "softmax" or "linear"; see activation.py. softmax has to be followed by
    cross-entropy: `backward` then takes the gradient of z, which is (a - y) / m.
    After `forward` the layer has a_prev, m, z and a, after `backward` dW and db.
    """

    def __init__(self, input_size: int, output_size: int, activation: str = "relu", *, init: str = "small", seed: Seed = None):
        super().__init__((output_size, input_size), (output_size, 1), activation, init, seed)

    def forward(self, a_prev: np.ndarray, training: bool = False) -> np.ndarray:
        if a_prev.ndim != 2 or a_prev.shape[0] != self.W.shape[1]:
            raise ValueError(f"{self} takes ({self.W.shape[1]}, m), one sample per column, not {a_prev.shape}")
        self.a_prev, self.m = a_prev, a_prev.shape[1]
        self.z = dense_forward(a_prev, self.W, self.b, self.kernels)
        self.a = self.activation(self.z)
        return self.a

    def gradients(self, da: np.ndarray) -> np.ndarray:
        dz = da * self.activation_derivative(self.z)
        da_prev, self.dW, self.db = dense_backward(dz, self.a_prev, self.W, self.kernels)
        return da_prev

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != (self.W.shape[1],):
            hint = ": a Flatten layer has to come before it" if len(shape) == 3 else ""
            raise ValueError(f"{self} takes {self.W.shape[1]} numbers per sample, but the layer before it gives {shape}{hint}")
        return (self.W.shape[0],)

    def __repr__(self) -> str:
        return f"Dense({self.W.shape[1]}, {self.W.shape[0]}, {self.activation_name!r})"

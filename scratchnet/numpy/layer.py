"""What all layers share. Data are float64: column-major (features, m), one sample per column, or images (N, C, H, W)."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from scratchnet.numpy.activation import activation_pair
from scratchnet.numpy.kernels import NUMPY
from scratchnet.numpy.optimizers import SGD

Seed = int | np.random.Generator | None

# Standard deviation of the initial weights. "small" is enough for a layer or two; through more of them the signal dies out, and
# "he" keeps its size after ReLU, "xavier" after tanh.
INITS = {
    "small": lambda fan_in, fan_out: 0.01,
    "xavier": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "he": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
}


class Layer:
    """A function with a hand-derived backward, and the parameters that it learns.

    `parameters` names them; the gradient of `W` is left in `dW`. Through `use` the network says which kernels compute.
    """

    parameters: tuple[str, ...] = ()
    kernels: SimpleNamespace = NUMPY

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """The output; keeps what `backward` needs. `training` matters only to Dropout and BatchNorm."""
        raise NotImplementedError

    def gradients(self, da: np.ndarray) -> np.ndarray:
        """The gradient of the input from that of the output; sets the parameters' gradients, which are sums over the batch.

        The mean over the batch is taken once, in the gradient of the loss, and not in the layers.
        """
        raise NotImplementedError

    def backward(self, da: np.ndarray, learning_rate: float | None = None) -> np.ndarray:
        """`gradients`, then one step of gradient descent; without a learning rate the parameters stay.

        The order matters: the gradient of the input belongs to the parameters that `forward` used.
        """
        da_prev = self.gradients(da)
        if learning_rate is not None:
            SGD(learning_rate).step([self])
        return da_prev

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one sample after the layer: (features,) or (C, H, W); ValueError if it does not fit."""
        return shape

    def use(self, kernels: SimpleNamespace) -> None:
        """Compute with these kernels from now on."""
        self.kernels = kernels

    def count_parameters(self) -> int:
        """How many numbers the layer learns."""
        return sum(getattr(self, name).size for name in self.parameters)


class WeightedLayer(Layer):
    """A layer a = activation(z), z linear in W and b: W starts as small normal numbers, b as zeros."""

    parameters = ("W", "b")

    def __init__(self, weight_shape: tuple, bias_shape: tuple, activation: str, init: str, seed: Seed):
        if init not in INITS:
            raise ValueError(f"there is no init {init!r}; the inits are {', '.join(INITS)}")
        window = math.prod(weight_shape[2:])  # 1, or the pixels under a filter
        scale = INITS[init](weight_shape[1] * window, weight_shape[0] * window)
        self.W = np.random.default_rng(seed).standard_normal(weight_shape) * scale
        self.b = np.zeros(bias_shape)
        self.activation_name = activation
        self.use(NUMPY)

    def use(self, kernels: SimpleNamespace) -> None:
        super().use(kernels)
        self.activation, self.activation_derivative = activation_pair(self.activation_name, kernels)

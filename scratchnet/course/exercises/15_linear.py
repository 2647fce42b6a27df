"""Exercise 15: the linear layer, forward and backward.

Each `...` is a blank for you to fill in. Then: scratchnet check 15
"""

import numpy as np
import torch


def questions() -> dict:
    """The row of weights that asks each question of a sample of three features: a list of three numbers."""
    return {
        "the third feature": ...,
        "the mean of the first and the second": ...,
        "how much larger the first is than the third": ...,
        "twice the sum of all": ...,
    }


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x (..., in), weight (out, in), bias (out,) or None -> (..., out). Use `@`, not a function that does it all."""
    ...


def linear_backward(g: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> tuple:
    """dx, dW, db of y = x @ weight.T + bias for x (B, in), weight (out, in) and g (B, out), the gradient of y."""
    return ...


def class_bias(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """A bias (classes,) whose softmax is how often each class occurs in labels (N,), int64; every class occurs."""
    return ...


def backward_and_update(g: np.ndarray, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, lr: float) -> np.ndarray:
    """Move weight and bias in place, each by -lr times its gradient, and return dx for the layer below.

    As in linear_backward, in NumPy. The layer below needs the dx of the forward pass that was run.
    """
    ...

"""InstanceNorm1d, 2d and 3d: normalise each channel of each sample by its own statistics, then scale and shift."""

from __future__ import annotations

import warnings

import torch.nn
from torch import Tensor
from torch.nn import Module

from scratchnet.functions.checks import check_tensor
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class _InstanceNorm(Called, Module):
    """The layer for any number of axes; `_axes` is that of a batch."""

    _axes: int

    def forward(self, input: Tensor) -> Tensor:
        name, axes = type(self).__name__, self._axes
        check_tensor(name, "input", input)
        if input.dim() not in (axes - 1, axes):
            wanted = f"expected {axes - 1}D or {axes}D input (got {input.dim()}D input)"
            raise ValueError(f"{name}(): argument 'input': {wanted}")
        channels = input.shape[1 - axes]
        if channels != self.num_features:
            place = f"dim={input.dim() + 1 - axes}"
            if self.affine:
                wanted = f"expected input's size at {place} to match num_features ({self.num_features}), but got: {channels}."
                raise ValueError(f"{name}(): argument 'input': {wanted}")
            warnings.warn(
                f"input's size at {place} does not match num_features. You can silence this warning by not passing in "
                "num_features, which is not used because affine=False",
                stacklevel=2,
            )
        if input.dim() < axes:
            return self._apply_instance_norm(input.unsqueeze(0)).squeeze(0)
        return self._apply_instance_norm(input)

    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        own = self.training or not self.track_running_stats
        affine, share = (self.weight, self.bias), 0.0 if self.momentum is None else self.momentum
        return F.instance_norm(input, self.running_mean, self.running_var, *affine, own, share, self.eps)


class InstanceNorm1d(_InstanceNorm, torch.nn.InstanceNorm1d):
    """y = (x - mean) / sqrt(var + eps) * weight + bias for each row of x (N, num_features, L) or (num_features, L).

    weight and bias only with affine=True; running statistics, for eval mode, only with track_running_stats=True.
    ValueError for another number of axes. Ulyanov et al.: Instance Normalization, https://arxiv.org/abs/1607.08022.
    """

    _axes = 3


class InstanceNorm2d(_InstanceNorm, torch.nn.InstanceNorm2d):
    """The same per plane of x (N, num_features, H, W) or (num_features, H, W); ValueError for other shapes."""

    _axes = 4


class InstanceNorm3d(_InstanceNorm, torch.nn.InstanceNorm3d):
    """The same per volume of x (N, num_features, D, H, W) or (num_features, D, H, W); ValueError for other shapes."""

    _axes = 5

"""BatchNorm1d, 2d and 3d: normalise each channel by the statistics of the batch, then scale and shift."""

from __future__ import annotations

import torch.nn
from torch import Tensor
from torch.nn import Module, Parameter, init

from scratchnet.functions.checks import check_tensor
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class _BatchNorm(Called, Module):
    """The layer for any number of axes; `_axes` lists the numbers that a subclass takes."""

    _axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        Module.__init__(self)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats

        def parameter(wanted: bool) -> Parameter | None:
            return Parameter(torch.empty(num_features, device=device, dtype=dtype)) if wanted else None

        self.register_parameter("weight", parameter(affine))
        self.register_parameter("bias", parameter(affine and bias))
        tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", torch.ones(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0, device=device) if tracked else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as the plain normalisation, weight 1 and bias 0, no batch seen."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        check_tensor(type(self).__name__, "input", input)
        if input.dim() not in self._axes:
            wanted = " or ".join(f"{axes}D" for axes in self._axes)
            raise ValueError(f"{type(self).__name__}(): argument 'input': expected {wanted} input (got {input.dim()}D input)")
        tracking = self.training and self.track_running_stats
        share = 0.0 if self.momentum is None else self.momentum  # the weight of this batch in the running statistics
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean over all batches
                share = 1.0 / float(self.num_batches_tracked)
        running = (self.running_mean, self.running_var) if tracking or not self.training else (None, None)
        training = self.training or self.running_mean is None and self.running_var is None
        return F.batch_norm(input, *running, self.weight, self.bias, training, share, self.eps)


class BatchNorm1d(_BatchNorm, torch.nn.BatchNorm1d):
    """y = (x - mean) / sqrt(var + eps) * weight + bias per feature, x (N, num_features) or (N, num_features, L).

    In training mode mean and (biased) var are those of the batch, and the running statistics move towards the batch's by the
    fraction `momentum` (None: to the mean over all batches); in eval mode they are the running ones, if track_running_stats.
    ValueError for another number of axes. Ioffe, Szegedy: Batch Normalization, https://arxiv.org/abs/1502.03167.
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm, torch.nn.BatchNorm2d):
    """The same per channel of x (N, num_features, H, W), over the batch and all pixels; ValueError for other shapes."""

    _axes = (4,)


class BatchNorm3d(_BatchNorm, torch.nn.BatchNorm3d):
    """The same per channel of x (N, num_features, D, H, W), over the batch and all voxels; ValueError for other shapes."""

    _axes = (5,)

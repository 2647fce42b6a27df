"""Lazy layers: torch's, which find out the size of their input from their first call; they then become ours."""

from __future__ import annotations

import torch.nn

from scratchnet.nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from scratchnet.nn.called import Called
from scratchnet.nn.conv import Conv1d, Conv2d
from scratchnet.nn.instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from scratchnet.nn.linear import Linear


class LazyLinear(Called, torch.nn.LazyLinear):
    """A Linear whose in_features is the last size of its first input, (..., in_features)."""

    cls_to_become = Linear


class LazyConv1d(Called, torch.nn.LazyConv1d):
    """A Conv1d whose in_channels is that of its first input, (N, in_channels, L)."""

    cls_to_become = Conv1d


class LazyConv2d(Called, torch.nn.LazyConv2d):
    """A Conv2d whose in_channels is that of its first input, (N, in_channels, H, W)."""

    cls_to_become = Conv2d


class LazyBatchNorm1d(Called, torch.nn.LazyBatchNorm1d):
    """A BatchNorm1d whose num_features is that of its first input, (N, num_features) or (N, num_features, L)."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(Called, torch.nn.LazyBatchNorm2d):
    """A BatchNorm2d whose num_features is that of its first input, (N, num_features, H, W)."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(Called, torch.nn.LazyBatchNorm3d):
    """A BatchNorm3d whose num_features is that of its first input, (N, num_features, D, H, W)."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(Called, torch.nn.LazyInstanceNorm1d):
    """An InstanceNorm1d whose num_features is that of its first input, (N, num_features, L)."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(Called, torch.nn.LazyInstanceNorm2d):
    """An InstanceNorm2d whose num_features is that of its first input, (N, num_features, H, W)."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(Called, torch.nn.LazyInstanceNorm3d):
    """An InstanceNorm3d whose num_features is that of its first input, (N, num_features, D, H, W)."""

    cls_to_become = InstanceNorm3d

"""Initialisers under `torch.nn.init`'s names: each fills a tensor in place, unseen by autograd, and returns it.

A layer keeps the size of what flows through it if the variance of its weights is gain^2 / fan: `fan_in` numbers are summed into
each output (in backward `fan_out`), and `gain` makes up for what the activation takes away. The random draws are torch's: the
same seed gives the same bits.
"""

from __future__ import annotations

import math
import warnings
from typing import Callable

import torch
from torch import Generator, Tensor
from torch.overrides import handle_torch_function, has_torch_function

from scratchnet.functions.checks import fail

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = ("linear", *(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)))
_GAINS = {**dict.fromkeys((*_LINEAR, "sigmoid"), 1), "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights before an activation are larger; `param` is leaky_relu's negative slope, 0.01 if None.

    ValueError for an activation without a known gain or a slope that is not a number.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            fail(ValueError, "calculate_gain", "param", f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        fail(ValueError, "calculate_gain", "nonlinearity", f"Unsupported nonlinearity {nonlinearity}; choose from {known}")
    return _GAINS[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers drawn uniformly from [a, b), in any shape."""
    if has_torch_function((tensor,)):  # e.g. a sharded tensor, which draws its own part
        return handle_torch_function(torch.nn.init.uniform_, (tensor,), tensor=tensor, a=a, b=b, generator=generator)
    with torch.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers drawn from the normal distribution with this mean and standard deviation, in any shape."""
    if has_torch_function((tensor,)):
        return handle_torch_function(torch.nn.init.normal_, (tensor,), tensor=tensor, mean=mean, std=std, generator=generator)
    with torch.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers drawn from the normal distribution, in any shape; what falls outside [a, b] is drawn again.

    If most of the distribution lies outside, the draws are uniform instead, each kept with probability proportional to density.
    Warns for a mean far outside.
    """
    if tensor.is_meta:
        return tensor
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )

    def below(x: float) -> float:  # share of the distribution
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0

    with torch.no_grad():
        if below(b) - below(a) > 0.3:
            return _redraw_outside(tensor, mean, std, a, b, generator)
        return _draw_under_density(tensor, mean, std, a, b, generator)


def _redraw_outside(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None) -> Tensor:
    low, high = (tensor.new_tensor(bound, device="cpu").item() for bound in (a, b))  # rounded to the tensor's dtype
    tensor.normal_(mean, std, generator=generator)
    while (outside := (tensor < low) | (tensor > high)).any():
        tensor.copy_(torch.where(outside, torch.empty_like(tensor).normal_(mean, std, generator=generator), tensor))
    return tensor


def _draw_under_density(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None) -> Tensor:
    log_peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    pending = torch.ones_like(tensor, dtype=torch.bool)
    draw, chance = torch.empty_like(tensor), torch.empty_like(tensor)
    while pending.any():
        draw.uniform_(a, b, generator=generator)
        tensor.copy_(torch.where(pending, draw, tensor))
        log_density = draw.sub_(mean).div_(std).pow_(2).mul_(-0.5).sub_(log_peak)
        pending &= chance.uniform_(generator=generator).log_() > log_density
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """`val` everywhere, in any shape."""
    if has_torch_function((tensor,)):
        return handle_torch_function(torch.nn.init.constant_, (tensor,), tensor=tensor, val=val)
    with torch.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere, in any shape."""
    with torch.no_grad():
        return tensor.fill_(1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere, in any shape."""
    with torch.no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """The identity: a Linear with this weight (out, in) passes its inputs on. ValueError for anything but a matrix."""
    if tensor.dim() != 2:
        fail(ValueError, "eye_", "tensor", f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    with torch.no_grad():
        tensor.zero_().fill_diagonal_(1)
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The identity of a convolution: channel d of each group passes channel d on. tensor: (out, in, *kernel).

    ValueError for a tensor without 3 to 5 axes, or groups that do not divide the first one.
    """
    if tensor.dim() not in (3, 4, 5):
        problem = f"Only tensors with 3, 4, or 5 dimensions are supported, got shape {tuple(tensor.shape)}"
        fail(ValueError, "dirac_", "tensor", f"{problem}; it is for the weights of convolutions")
    if tensor.shape[0] % groups != 0:
        fail(ValueError, "dirac_", "groups", f"dim 0 must be divisible by groups: it is {tensor.shape[0]}, groups {groups}")
    if tensor.is_meta:
        return tensor
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with torch.no_grad():
        tensor.zero_()
        for group in tensor.tensor_split(groups):
            for d in range(min(group.shape[:2])):
                group[(d, d, *centre)] = 1
    return tensor


def _fans(function: str, tensor: Tensor) -> tuple[int, int]:
    """fan_in and fan_out of a weight (out, in, *kernel): how many inputs an output sums, how many outputs an input reaches."""
    if tensor.dim() < 2:
        problem = "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        fail(ValueError, function, "tensor", f"{problem}: got shape {tuple(tensor.shape)}; a bias is initialised with zeros_")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform, variance gain^2 * 2 / (fan_in + fan_out), a compromise between forward and backward: (out, in, *kernel).

    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks (2010).
    ValueError for fewer than two axes.
    """
    bound = math.sqrt(3.0) * (gain * math.sqrt(2.0 / float(sum(_fans("xavier_uniform_", tensor)))))
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal, with variance gain^2 * 2 / (fan_in + fan_out): (out, in, *kernel). ValueError for fewer than two axes."""
    std = gain * math.sqrt(2.0 / float(sum(_fans("xavier_normal_", tensor))))
    with torch.no_grad():
        return tensor.normal_(0.0, std, generator=generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform, with variance gain^2 / fan, gain that of the nonlinearity (leaky_relu of slope a): (out, in, *kernel).

    He et al.: Delving deep into rectifiers, https://arxiv.org/abs/1502.01852
    ValueError for fewer than two axes or a mode that is neither fan_in nor fan_out; a warning for a tensor without elements.
    """
    if has_torch_function((tensor,)):
        options = {"a": a, "mode": mode, "nonlinearity": nonlinearity, "generator": generator}
        return handle_torch_function(torch.nn.init.kaiming_uniform_, (tensor,), tensor=tensor, **options)
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal, with variance gain^2 / fan; shape, options and errors as in kaiming_uniform_."""
    if _is_empty(tensor):
        return tensor
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    with torch.no_grad():
        return tensor.normal_(0, std, generator=generator)


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return 0 in tensor.shape


def _kaiming_std(function: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        fail(ValueError, function, "mode", f"Mode {mode.lower()} not supported, please use one of {modes}")
    fan = _fans(function, tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain * Q, the rows (or columns, if fewer) of Q orthonormal: the layer preserves lengths. tensor: (rows, *columns).

    Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning, https://arxiv.org/abs/1312.6120
    ValueError for fewer than two axes.
    """
    if tensor.dim() < 2:
        problem = f"Only tensors with 2 or more dimensions are supported, got shape {tuple(tensor.shape)}"
        fail(ValueError, "orthogonal_", "tensor", problem)
    if tensor.numel() == 0 or tensor.is_meta:
        return tensor
    rows, columns = tensor.shape[0], tensor[0].numel()
    with torch.no_grad():
        draw = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator)
        q, r = torch.linalg.qr(draw.t() if rows < columns else draw)
        q *= r.diagonal().sign()  # QR's choice of signs is not uniform: https://arxiv.org/abs/math-ph/0609050
        tensor.copy_((q.t() if rows < columns else q).reshape(tensor.shape)).mul_(gain)
    return tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal, with a fraction `sparsity` of zeros in each column. tensor: (rows, columns); ValueError for another shape.

    Martens: Deep learning via Hessian-free optimization (2010).
    """
    if tensor.dim() != 2:
        fail(ValueError, "sparse_", "tensor", f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    if tensor.is_meta:
        return tensor
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with torch.no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[torch.randperm(rows)[:zeros], column] = 0
    return tensor


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """torch's old name without the underscore, with its FutureWarning."""
    name = function.__name__

    def old(*args, **kwargs):
        warnings.warn(f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    old.__name__ = name[:-1]
    return old


uniform, normal, constant, eye, dirac = map(_deprecated, (uniform_, normal_, constant_, eye_, dirac_))
xavier_uniform, xavier_normal = map(_deprecated, (xavier_uniform_, xavier_normal_))
kaiming_uniform, kaiming_normal = map(_deprecated, (kaiming_uniform_, kaiming_normal_))
orthogonal, sparse = map(_deprecated, (orthogonal_, sparse_))

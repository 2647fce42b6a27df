"""The table of kernel calls that the tests of the columns run: arguments by name, beside torch's own way to every output."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet import columns
from scratchnet.ops import ACTIVATIONS, GATES, OPS, RECURRENCES, REDUCTIONS

INF, NAN = math.inf, math.nan
INSIDE = {"activations", "inner"}  # of a recurrence: for a second derivative they are made anew from the inputs
STATISTICS = {"lse", "total_weight", "mean", "rstd", "var"} | INSIDE  # float32 or wider whatever the input


@dataclass
class Case:
    """One kernel call."""

    op: str
    own: Callable  # the forward arguments -> all outputs
    label: str
    smooth: bool  # finite and not empty: fit for 16 bits, second derivatives and transforms
    args: dict  # of forward, by name and in order
    backward: dict  # what backward takes beside forward's arguments and outputs

    @property
    def id(self) -> str:
        return f"{self.op}-{self.label}"

    @property
    def differentiable(self) -> list[str]:
        """Outputs that get an upstream gradient."""
        return [name for name in OPS[self.op].outputs if name not in OPS[self.op].constant]

    @property
    def wanted(self) -> list[str]:
        """Inputs that get a gradient, in the order in which backward returns them."""
        return [name for name in OPS[self.op].gradients if self.args[name] is not None]

    def names(self, way: str) -> list[str]:
        """The arguments of a kernel with the options one by one."""
        op = OPS[self.op]
        return list(op.flat(way, [op.options._fields if name == "options" else name for name in op.arguments(way)]))

    def kernel(self, column: str, way: str) -> Callable:
        return columns.kernel(OPS[self.op], column, way)

    def run_forward(self, column: str, args: dict) -> dict:
        """Outputs by name."""
        op = OPS[self.op]
        results = self.kernel(column, "forward")(*op.packed("forward", [*args.values()]))
        return dict(zip(op.results, as_tuple(results), strict=True))

    def run_backward(self, column: str, upstream: dict, args: dict, outputs: dict, wanted: list[str] | None = None) -> dict:
        """Gradients by input name; None for all that is not wanted."""
        op, wanted = OPS[self.op], self.wanted if wanted is None else wanted
        needs = {f"need_{name}": name in wanted for name in op.gradients}
        values = {**self.backward, **args, **outputs, **needs, **upstream}
        if self.op == "linear" and ACTIVATIONS[args["activation"]] == "relu":
            values["saved"] = outputs["y"]
        arguments = op.packed("backward", [values[name] for name in self.names("backward")])
        return dict(zip(op.gradients, as_tuple(self.kernel(column, "backward")(*arguments)), strict=True))

    def upstream(self, outputs: dict) -> dict:
        """An incoming gradient for each differentiable output."""
        pairs = zip(OPS[self.op].grads, self.differentiable, strict=True)
        return {name: randn(*outputs[out].shape, seed=7) for name, out in pairs}


def parameters(function: Callable) -> list[str]:
    return list(inspect.signature(function).parameters)


def as_tuple(value) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1000 * len(shape) + sum(shape))
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def integers(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def t(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def approximate(tanh: bool) -> str:
    return "tanh" if tanh else "none"


CASES: list[Case] = []


def case(op: str, own: Callable, label: str, smooth: bool = True, backward: dict | None = None, **args) -> None:
    entry = Case(op, own, label, smooth, args, backward or {})
    entry.args = {name: args[name] for name in entry.names("forward")}
    CASES.append(entry)


# matmul
for label, a, b in (
    ("2-D", (3, 4), (4, 5)),
    ("batched", (2, 3, 4, 5), (2, 3, 5, 1)),
    ("K 0", (3, 0), (0, 2)),
    ("M 0", (0, 4), (4, 2)),
):
    case("matmul", torch.matmul, label, 0 not in a, a=randn(*a), b=randn(*b))
case("matmul", torch.matmul, "expanded, transposed", a=randn(3, 4).expand(2, 3, 4), b=randn(5, 4).mT.expand(2, 4, 5))
case("matmul", torch.matmul, "batch in another order", a=randn(2, 3, 4, 5), b=randn(3, 2, 5, 2).transpose(0, 1))
case("matmul", torch.matmul, "inf", False, a=t([[INF, 1.0], [NAN, 2.0]]), b=t([[0.0, 1.0], [1.0, -INF]]))


def own_linear(x, weight, bias, activation):
    z = F.linear(x, weight, bias)
    name = ACTIVATIONS[activation]
    if name == "none":
        return z, x.new_empty(0)
    y = F.relu(z) if name == "relu" else F.gelu(z, approximate="tanh" if name == "gelu_tanh" else "none")
    return y, x.new_empty(0) if name == "relu" else z


for code, name in enumerate(ACTIVATIONS):
    for shape in ((5, 4), (2, 3, 4), (4,), (0, 4), (3, 0)):
        smooth = 0 not in shape
        weight = randn(3, shape[-1])
        case("linear", own_linear, f"{name} {shape}", smooth, x=randn(*shape), weight=weight, bias=randn(3), activation=code)
    case("linear", own_linear, f"{name} no bias", x=randn(5, 4), weight=randn(3, 4), bias=None, activation=code)
    nan = t([[NAN, 1.0], [1.0, 2.0], [INF, 0.5]])
    case("linear", own_linear, f"{name} nan", False, x=nan, weight=randn(3, 2), bias=None, activation=code)
case("linear", own_linear, "N 0", False, x=randn(5, 4), weight=randn(0, 4), bias=randn(0), activation=0)

# conv2d
for label, x, weight, options in (
    ("3x3", (2, 3, 4, 5), (4, 3, 3, 3), {"padding": (1, 1)}),
    ("stride", (2, 2, 5, 7), (3, 2, 3, 2), {"stride": (2, 3), "padding": (0, 1)}),
    ("stride beyond the kernel", (1, 2, 7, 7), (3, 2, 2, 1), {"stride": (3, 4)}),
    ("dilation, groups", (2, 4, 6, 5), (6, 2, 2, 3), {"padding": (1, 2), "dilation": (3, 2), "groups": 2}),
    ("depthwise", (2, 3, 4, 4), (6, 1, 2, 2), {"groups": 3}),
    ("more padding than kernel", (1, 1, 2, 2), (2, 1, 2, 1), {"padding": (3, 2), "stride": (2, 1)}),
    ("1x1", (2, 3, 2, 4), (5, 3, 1, 1), {}),
    ("whole image", (2, 3, 4, 5), (5, 3, 4, 5), {}),
    ("N 0", (0, 3, 4, 5), (4, 3, 3, 3), {"padding": (1, 1)}),
):
    args = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1} | options
    for bias in (randn(weight[0]), None):
        name = f"{label}{' bias' if bias is not None else ''}"
        case("conv2d", F.conv2d, name, 0 not in x, x=randn(*x), weight=randn(*weight), bias=bias, **args)
x = randn(1, 1, 3, 3).index_put((t([0]).long(), t([0]).long(), t([1]).long(), t([1]).long()), t([INF]))
for value in (x, -x, x * 0):
    args = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    case("conv2d", F.conv2d, "inf", False, x=value, weight=randn(2, 1, 2, 2), bias=None, **args)


def own_recurrence(x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, mode, reverse):
    """torch's cells over the rows of each step."""
    name, begin, h, c = RECURRENCES[mode], 0, h0, c0
    b_ih, b_hh = (x.new_zeros(len(w_hh)) if b is None else b for b in (b_ih, b_hh))
    steps = []
    for n in batch_sizes.tolist():
        steps.append((begin, n))
        begin += n
    rows = {}
    for begin, n in reversed(steps) if reverse else steps:
        x_t, h_t = x[begin : begin + n], h[:n]
        match name:
            case "lstm":
                i, f, g, o = (F.linear(x_t, w_ih, b_ih) + F.linear(h_t, w_hh, b_hh)).chunk(4, 1)
                i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
                inner = f * c[:n] + i * g
                new = o * inner.tanh()
                new = new if w_hr is None else F.linear(new, w_hr)
                c = torch.cat([inner, c[n:]])
                activations = torch.cat([i, f, g, o], 1)
            case "gru":
                new = torch.gru_cell(x_t, h_t, w_ih, w_hh, b_ih, b_hh)
                u, v = F.linear(x_t, w_ih, b_ih).chunk(3, 1), F.linear(h_t, w_hh, b_hh).chunk(3, 1)
                r, z, inner = (u[0] + v[0]).sigmoid(), (u[1] + v[1]).sigmoid(), v[2]
                activations = torch.cat([r, z, (u[2] + r * inner).tanh()], 1)
            case _:
                cell = torch.rnn_tanh_cell if name == "rnn_tanh" else torch.rnn_relu_cell
                new = activations = cell(x_t, h_t, w_ih, w_hh, b_ih, b_hh)
                inner = x.new_empty(n, 0)
        h = torch.cat([new, h[n:]])
        rows[begin] = new, activations, inner
    y, activations, inner = (torch.cat(values) for values in zip(*(rows[begin] for begin in sorted(rows)), strict=True))
    return y, h, h0.flatten()[:0] if c is None else c, activations, inner


for mode, name in enumerate(RECURRENCES):
    for label, sizes, biased, reverse, state in (
        ("padded", (2, 2, 2), True, False, 3),
        ("packed", (3, 2, 2, 1), True, False, 3),
        ("packed, reverse, no bias", (3, 2, 2, 1), False, True, 3),
        ("one step", (4,), True, True, 3),
        ("projection", (3, 2, 1), True, True, 2),
    ):
        if state == 3 or name == "lstm":
            gates, n = 3 * GATES[name], sum(sizes)
            case(
                "recurrence",
                own_recurrence,
                f"{name} {label}",
                x=randn(n, 2),
                batch_sizes=torch.tensor(sizes),
                w_ih=randn(gates, 2) / 2,
                w_hh=randn(gates, state) / 2,
                b_ih=randn(gates) if biased else None,
                b_hh=randn(gates, seed=1) if biased else None,
                h0=randn(sizes[0], state),
                c0=randn(sizes[0], 3) if name == "lstm" else None,
                w_hr=randn(state, 3) if state < 3 else None,
                mode=mode,
                reverse=reverse,
            )

# softmax family
SPECIAL = t([[-INF, -INF, -INF], [INF, 1, 2], [INF, INF, -INF], [NAN, 1, 2], [-INF, 2, 1], [1e4, -1e4, 0]])
for op, own in (
    ("softmax", torch.softmax),
    ("log_softmax", torch.log_softmax),
    ("logsumexp", lambda x, dim: torch.logsumexp(x, dim, keepdim=True)),
):
    for shape, dim in (((3, 5), -1), ((3, 5), 0), ((2, 3, 4), 1), ((), 0), ((3, 1), 1)):
        case(op, own, f"{shape} {dim}", x=randn(*shape), dim=dim)
    for shape, dim in (((3, 0), 1), ((0, 3), 1), ((0, 3), 0)):
        case(op, own, f"{shape} {dim}", False, x=randn(*shape), dim=dim)
    case(op, own, "special", False, x=SPECIAL, dim=1)
    case(op, own, "large", False, x=randn(3, 5) * 300 + 1e5, dim=1)


# cross_entropy
def own_cross_entropy(x, target, weight, reduction, ignore_index, label_smoothing):
    loss = F.cross_entropy(
        x, target, weight, reduction=REDUCTIONS[reduction], ignore_index=ignore_index, label_smoothing=label_smoothing
    )
    lse = x.amax(1) - x.log_softmax(1).amax(1)
    if target.is_floating_point():
        return loss, lse, t(float(target.numel() // max(x.shape[1], 1)))
    counted = target[target != ignore_index]
    return loss, lse, (torch.ones(x.shape[1], dtype=x.dtype) if weight is None else weight)[counted].sum()


def own_linear_cross_entropy(x, linear_weight, linear_bias, target, *options):
    return own_cross_entropy(F.linear(x, linear_weight, linear_bias), target, *options)


for code, reduction in enumerate(REDUCTIONS):
    for smoothing in (0.0, 0.1):
        for weight in (None, randn(5).abs()):
            options = {"weight": weight, "reduction": code, "label_smoothing": smoothing}
            label = f"{reduction} smoothing {smoothing}{'' if weight is None else ' weight'}"
            target = integers(5, 3, 2)
            x = randn(3, 5, 2)
            for ignored in (-100, int(target[0, 0])):
                case(
                    "cross_entropy",
                    own_cross_entropy,
                    f"{label} ignore {ignored}",
                    x=x,
                    target=target,
                    ignore_index=ignored,
                    **options,
                )
            some = target.where(integers(2, 3, 2, seed=1) > 0, -100)
            case("cross_entropy", own_cross_entropy, f"{label} some -100", x=x, target=some, ignore_index=-100, **options)
            q = randn(3, 5, 2, seed=1).softmax(1)
            case("cross_entropy", own_cross_entropy, f"{label} probabilities", x=x, target=q, ignore_index=-100, **options)
            hidden, matrix = randn(3, 4), randn(5, 4)
            for bias in (None, randn(5)):
                for target in (some[:, 0], q[..., 0]):
                    case(
                        "linear_cross_entropy",
                        own_linear_cross_entropy,
                        f"{label} {target.dtype} {bias is None}",
                        x=hidden,
                        linear_weight=matrix,
                        linear_bias=bias,
                        target=target,
                        ignore_index=-100,
                        **options,
                    )
    for smoothing in (0.0, 0.1):
        options = {"reduction": code, "ignore_index": -100, "label_smoothing": smoothing}
        label = f"{reduction} smoothing {smoothing}"
        special = SPECIAL.unsqueeze(-1)
        for name, target in (
            ("first", torch.zeros(6, 1, dtype=torch.int64)),
            ("second", torch.ones(6, 1, dtype=torch.int64)),
            ("ignored", torch.full((6, 1), -100)),
            ("one-hot", F.one_hot(torch.ones(6, dtype=torch.int64), 3).double().unsqueeze(-1)),
        ):
            for weight in (None, t([1.0, 0.0, 2.0])):
                each = f"{label} special {name} {'weight' if weight is not None else ''}"
                case("cross_entropy", own_cross_entropy, each, False, x=special, target=target, weight=weight, **options)
        finite, zeros = randn(2, 3, 1), torch.zeros(2, 1, dtype=torch.int64)
        args = {"x": finite, "target": zeros, "weight": t([0.0, 1.0, 1.0]), **options}
        case("cross_entropy", own_cross_entropy, f"{label} total weight 0", False, **args)
        args = {"x": finite, "target": zeros - 100, "weight": None, **options}
        case("cross_entropy", own_cross_entropy, f"{label} all ignored", False, **args)
        for empty in (torch.zeros(0, 1, dtype=torch.int64), randn(0, 3, 1)):
            args = {"x": randn(0, 3, 1), "target": empty, "weight": None, **options}
            case("cross_entropy", own_cross_entropy, f"{label} N 0 {empty.dtype}", False, **args)


# layer_norm
def own_layer_norm(x, weight, bias, ndim, eps):
    dims = tuple(range(-ndim, 0))
    mean = x.mean(dims, keepdim=True)
    var = (x - mean).square().mean(dims, keepdim=True)
    return F.layer_norm(x, x.shape[-ndim:], weight, bias, eps), mean, (var + eps).rsqrt()


def own_rms_norm(x, weight, ndim, eps):
    dims = tuple(range(-ndim, 0))
    return F.rms_norm(x, x.shape[-ndim:], weight, eps), (x.square().mean(dims, keepdim=True) + eps).rsqrt()


def own_add_layer_norm(x, residual, *args):
    return x + residual, *own_layer_norm(x + residual, *args)


special = t([[INF, 1, 2], [NAN, 1, 2], [-INF, INF, 0], [1, 2, 3], [0, 0, 0]])
for shape, ndim in (
    ((4, 6), 1),
    ((2, 3, 4), 1),
    ((2, 3, 4), 2),
    ((3, 4), 2),
    ((6,), 1),
    ((0, 3), 1),
    ((3, 0), 1),
    ((3, 2, 0), 2),
):
    for affine in ("weight+bias", "weight", "plain"):
        weight = randn(*shape[-ndim:], seed=1) if affine != "plain" else None
        bias = randn(*shape[-ndim:], seed=2) if "bias" in affine else None
        args = {"weight": weight, "ndim": ndim, "eps": 1e-5}
        x, smooth = randn(*shape), 0 not in shape
        label = f"{shape} {ndim} {affine}"
        if shape[-1]:  # torch leaves the statistics of empty rows undefined
            case("layer_norm", own_layer_norm, label, smooth, x=x, bias=bias, **args)
            # The sum is an output, hence rounded; sixteenths make it exact in 16 bits, so that both columns normalise the same.
            x, residual = (x * 16).round() / 16, (randn(*shape, seed=3) * 16).round() / 16
            case("add_layer_norm", own_add_layer_norm, label, smooth, x=x, residual=residual, bias=bias, **args)
        if bias is None:
            case("rms_norm", own_rms_norm, label, smooth, x=x, **args)
args = {"x": special, "weight": randn(3), "ndim": 1, "eps": 1e-5}
case("layer_norm", own_layer_norm, "special", False, bias=randn(3), **args)
case("rms_norm", own_rms_norm, "special", False, **args)
case("add_layer_norm", own_add_layer_norm, "special", False, residual=randn(5, 3), bias=randn(3), **args)


# batch_norm
def own_batch_norm(x, weight, bias, running_mean, running_var, training, eps):
    y = F.batch_norm(x, running_mean, running_var, weight, bias, training, eps=eps)
    if not training:
        return y, running_mean, running_var
    dims = (0, *range(2, x.dim()))
    return y, x.mean(dims), x.var(dims, correction=0)


for shape in ((4, 3), (2, 3, 5), (3, 2, 4, 5), (2, 3, 40), (300, 2), (2, 20, 2)):
    for affine in ("weight+bias", "weight", "plain"):
        for training in (True, False):
            channels = shape[1]
            args = {
                "weight": randn(channels, seed=1) if affine != "plain" else None,
                "bias": randn(channels, seed=2) if "bias" in affine else None,
                "running_mean": None if training else randn(channels, seed=3),
                "running_var": None if training else randn(channels, seed=4).abs(),
            }
            label = f"{shape} {affine} {'training' if training else 'running'}"
            case("batch_norm", own_batch_norm, label, True, x=randn(*shape), training=training, eps=1e-2, **args)
special = t([[1, INF, NAN, 2, 0], [2, 1, 1, -INF, 0], [3, 2, 2, INF, 0]])
for x in (special, special.repeat_interleave(40).reshape(3, 5, 40)):
    for training in (True, False):
        args = {"weight": randn(5), "bias": randn(5, seed=1), "eps": 1e-5}
        args |= {"running_mean": None if training else randn(5), "running_var": None if training else randn(5).abs()}
        label = f"special {tuple(x.shape)} {'training' if training else 'running'}"
        case("batch_norm", own_batch_norm, label, False, x=x, training=training, **args)


# gelu
def own_gelu(x, tanh):
    return F.gelu(x, approximate=approximate(tanh))


def own_bias_gelu(x, bias, tanh):
    return own_gelu(x + bias, tanh)


def own_geglu(x, dim, tanh):
    a, b = x.chunk(2, dim)
    return a * own_gelu(b, tanh)


special = t([INF, -INF, NAN, 0.0, -0.0, 40.0, -40.0, 1e3, -1e3, 1e-300])
for tanh in (False, True):
    name = approximate(tanh)
    for shape in ((4, 6), (7,), (), (0,), (2, 0, 3)):
        smooth = 0 not in shape
        case("gelu", own_gelu, f"{name} {shape}", smooth, x=randn(*shape), tanh=tanh)
        if shape:
            case("bias_gelu", own_bias_gelu, f"{name} {shape}", smooth, x=randn(*shape), bias=randn(shape[-1]), tanh=tanh)
    case("gelu", own_gelu, f"{name} special", False, x=special, tanh=tanh)
    case("bias_gelu", own_bias_gelu, f"{name} special", False, x=special.unsqueeze(0), bias=randn(10), tanh=tanh)
    for shape, dim in (((4, 6), -1), ((4, 6), 0), ((3, 4, 5), 1), ((3, 0), 1), ((0, 4), 1)):
        case("geglu", own_geglu, f"{name} {shape} {dim}", 0 not in shape, x=randn(*shape), dim=dim, tanh=tanh)
    case("geglu", own_geglu, f"{name} special", False, x=torch.stack([special.flip(0), special]), dim=0, tanh=tanh)


# gather
def own_gather(x, index, dim):
    return torch.gather(x, dim, index)


for shape, dim, indices in (
    ((4, 5), 0, (6, 5)),
    ((4, 5), 1, (4, 3)),
    ((3, 4, 5), 1, (2, 9, 3)),
    ((3, 4, 5), -1, (3, 4, 5)),
    ((6,), 0, (4,)),
    ((), 0, ()),
    ((), 0, (3,)),
    ((4, 5), 0, (0, 5)),
    ((4, 5), 1, (0, 0)),
    ((0, 5), 0, (0, 5)),
):
    x = randn(*shape)
    index = integers(max(shape[dim], 1) if shape else 1, *indices)
    case("gather", own_gather, f"{shape} {dim} {indices}", 0 not in indices, {"shape": shape}, x=x, dim=dim, index=index)
case("gather", own_gather, "nan", False, {"shape": (3,)}, x=t([NAN, INF, 1]), dim=0, index=integers(3, 3))
for shape in ((6,), (2, 3), (), (0,), (2, 0)):
    for padding, freq in ((-1, False), (1, False), (-1, True), (2, True)):
        case(
            "embedding",
            lambda weight, index, padding_idx, scale_grad_by_freq: F.embedding(
                index, weight, None if padding_idx < 0 else padding_idx, scale_grad_by_freq=scale_grad_by_freq
            ),
            f"{shape} padding {padding} freq {freq}",
            0 not in shape,
            {"num_embeddings": 4},
            weight=randn(4, 3),
            index=integers(4, *shape),
            padding_idx=padding,
            scale_grad_by_freq=freq,
        )


# pooling
def own_max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode):
    return F.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def own_avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override or None)


nan = randn(2, 6, 7, seed=5)
nan[0, 1, 2] = nan[0, 2, 2] = nan[1, 5, 6] = NAN
nan[0, 4, 4], nan[1, 0, 0] = INF, -INF
for shape, kernel, stride, padding, dilation, ceil_mode in (
    ((3, 6, 7), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 2, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((2, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), True),
    ((2, 5, 70), (2, 3), (1, 1), (1, 0), (1, 1), False),
    ((2, 9, 8), (2, 3), (3, 2), (0, 1), (2, 2), True),
    ((1, 7, 7), (1, 1), (3, 4), (0, 0), (1, 1), False),
    ((2, 4, 4), (4, 4), (1, 1), (2, 2), (1, 1), True),
    ((2, 3, 5), (3, 5), (3, 5), (0, 0), (1, 1), False),
    ((0, 2, 4, 4), (2, 2), (2, 2), (1, 1), (1, 1), False),
):
    images = [(f"{shape}", randn(*shape), 0 not in shape)]
    if shape == (2, 6, 7):
        images += [("nan", nan, False), ("ties", (randn(2, 6, 7) * 2).round(), False), ("all -inf", nan * 0 - INF, False)]
    for name, x, smooth in images:
        args = {"x": x, "kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        label, back = f"{name} {kernel} {stride} {padding} {dilation} {ceil_mode}", {"shape": tuple(x.shape)}
        case("max_pool2d", own_max_pool2d, label, smooth, back, dilation=dilation, **args)
        if dilation == (1, 1):
            for count, divisor in ((True, 0), (False, 0), (True, -3)):
                options = {"count_include_pad": count, "divisor_override": divisor}
                case("avg_pool2d", own_avg_pool2d, f"{label} {count} {divisor}", smooth, back, **options, **args)
for x in (randn(2, 3, 6, 7), randn(1, 9, 40), randn(2, 1, 1), randn(0, 2, 3, 3), nan):
    for out in ((1, 1), (3, 7), (2, 3), (4, 5), (8, 9)):
        smooth = 0 not in x.shape and x is not nan
        label, back = f"{'nan' if x is nan else tuple(x.shape)} {out}", {"shape": tuple(x.shape)}
        case("adaptive_avg_pool2d", F.adaptive_avg_pool2d, label, smooth, back, x=x, output_size=out)

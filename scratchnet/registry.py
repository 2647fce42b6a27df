"""The grid as data: every operator of the five primitives, its kernel signature, its cost and example calls.

Everything that needs a list of kernels reads it from here: operator registration and dispatch, `scratchnet info | verify |
bench`, the tests, the benchmarks and the tables in the docs.

One operator is a pair of kernels that has the same names and the same arguments in every backend:

    <name>_forward(*arguments)  -> the outputs, then what backward needs
    <name>_backward(*arguments) -> one gradient per differentiable input; None for an input whose `need_...` flag is False
                                   (a compiled kernel returns an empty tensor there: torch schemas have no optional results)

Codes that cross into C++ are integers: `activation`, `mode` and `reduction` are indices into the tuples below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = ("none", "relu", "gelu", "gelu_tanh")
RECURRENCES = ("rnn_tanh", "rnn_relu", "lstm", "gru")
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}  # how many times the hidden size a layer's weights have in rows
REDUCTIONS = ("none", "mean", "sum")  # torch's own numbering


@dataclass(frozen=True)
class Cost:
    """The least that a call has to move and compute: every input read once, every result written once."""

    forward_bytes: int
    backward_bytes: int
    forward_flops: int
    backward_flops: int


@dataclass(frozen=True)
class Backend:
    """One column of the grid. Rungs are numbered from 1; the last one is in use, the earlier ones are the lesson before it."""

    what: str
    devices: tuple[str, ...]
    rungs: dict[str, tuple[str, ...]]  # primitive -> one idea a rung; a primitive that is missing has no kernels here
    deterministic: bool = True  # the same bits for the same input, whatever the number of threads


_ONE = {primitive: ("the formula",) for primitive in ("matmul", "cross_entropy", "layer_norm", "gelu", "gather")}

BACKENDS: dict[str, Backend] = {
    "numpy": Backend("the mathematics in float64 NumPy: the oracle", ("cpu",), _ONE),
    "torch": Backend("plain PyTorch operations: the readable reference", ("cpu", "cuda"), _ONE),
    "cpp": Backend(
        "C++: SIMD and threads",
        ("cpu",),
        {
            "matmul": ("naive loop", "register tiles, packed panels, threads"),
            "cross_entropy": ("naive loop", "one pass, SIMD exp, threads"),
            "layer_norm": ("naive loop", "row kept in cache, SIMD, threads"),
            "gelu": ("naive loop", "SIMD polynomials, fused bias, threads"),
            "gather": ("naive loop", "column blocks, row copies, threads"),
        },
    ),
    "triton": Backend(
        "Triton kernels; on CPU tensors in Triton's interpreter",
        ("cuda", "cpu"),
        {
            "matmul": ("tiles on the matrix units, fused epilogue, K split where tiles are few",),
            "layer_norm": ("rows in registers",),
            "gelu": ("fused tiles",),
            "gather": ("row copies, atomics or sorted segments",),
        },
    ),
}

CPU_ONLY = ("triton",)  # what a layer's operator lacks that is not one of the primitives themselves

Example = Callable[[int, int, torch.dtype], tuple[tuple, dict]]


@dataclass(frozen=True)
class Op:
    """One operator: `scratchnet.functions.<room>.<name>` and the pair of kernels behind it."""

    name: str
    primitive: str
    idea: str  # what it computes and what the fused kernel saves, in one line
    forward: str  # schema of the forward kernel; the rung (int) is appended
    backward: str  # schema of the backward kernel; likewise
    torch: Callable  # torch's own function(s) for the same call: the baseline
    cost: Callable[..., Cost]  # of a call with the same arguments
    examples: dict[str, Example]  # option name -> (rows, columns, dtype) -> (args, kwargs) of a call; floats want a gradient
    sizes: tuple[tuple[int, int], ...]  # (rows, columns) that `scratchnet bench` times; the first alone with --quick
    # With no backend named, torch's own function runs up to so many elements in the first argument, because it is faster there
    # as measured by `scratchnet bench`: calling an operator of ours costs some 10 us more. Beyond, the compiled kernels run.
    own_up_to: float = 0
    without: tuple[str, ...] = ()  # backends that have no kernel of this operator, though they have its primitive
    file: str = ""  # where it lives in every room, if not in the primitive's own file

    @property
    def room(self) -> str:
        """The name of its file in functions/, reference/, numpy/ and of its folder in csrc/cpu/."""
        return self.file or self.primitive

    def rungs(self, column: str) -> tuple[str, ...]:
        """One idea a rung of this operator's kernels on a backend; none where the torch column runs in its place."""
        return () if column in self.without else BACKENDS[column].rungs.get(self.primitive, ())


def _normal(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).to(dtype).requires_grad_()


def _constant(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(shape, dtype=torch.float64).add(0.5).to(dtype)


def _index(high: int, *shape: int) -> Tensor:
    return torch.randint(max(high, 1), shape) if high else torch.zeros((0,) * len(shape), dtype=torch.int64)


def _bytes(*tensors: Tensor | None) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


# ---- matmul -------------------------------------------------------------------------------------------------------------


def _matmul_cost(a: Tensor, b: Tensor, bias: Tensor | None = None, activation: str | None = None, *, transposed=False) -> Cost:
    n = b.shape[-2] if transposed else b.shape[-1]
    out = a.numel() // max(a.shape[-1], 1) * n
    moved = _bytes(a, b, bias) + out * a.element_size()
    return Cost(moved, 2 * moved, 2 * out * a.shape[-1], 4 * out * a.shape[-1])


MATMUL = Op(
    name="matmul",
    primitive="matmul",
    idea="batched A @ B, any strides, no copy of a transposed operand",
    forward="(Tensor a, Tensor b) -> Tensor",  # a (..., M, K), b (..., K, N), equal batch axes (expanded views)
    backward="(Tensor grad, Tensor a, Tensor b, bool need_a, bool need_b) -> (Tensor, Tensor)",
    torch=torch.matmul,
    cost=_matmul_cost,
    examples={
        "2-D": lambda m, k, dtype: ((_normal(m, k, dtype=dtype), _normal(k, m, dtype=dtype)), {}),
        "batched": lambda m, k, dtype: ((_normal(2, m, k, dtype=dtype), _normal(2, k, 5, dtype=dtype)), {}),
    },
    sizes=((1024, 1024), (384, 384), (2048, 512), (64, 4096)),
    own_up_to=math.inf,  # ours are ahead of MKL on large float32 products, not yet on skinny, small and bfloat16 ones
)

LINEAR = Op(
    name="linear",
    primitive="matmul",
    idea="x W^T + b with the activation applied while the tile is still in registers",
    # x (..., K), weight (N, K), bias (N); -> y, z: the pre-activation for GELU, else empty; saved is z, for ReLU y
    forward="(Tensor x, Tensor weight, Tensor? bias, int activation) -> (Tensor, Tensor)",
    backward="(Tensor grad, Tensor x, Tensor weight, Tensor saved, int activation, bool need_x, bool need_weight,"
    " bool need_bias) -> (Tensor, Tensor, Tensor)",
    torch=lambda x, weight, bias=None, activation=None: {
        None: lambda y: y,
        "relu": F.relu,
        "gelu": F.gelu,
        "gelu_tanh": lambda y: F.gelu(y, approximate="tanh"),
    }[activation](F.linear(x, weight, bias)),
    cost=lambda *args, **kwargs: _matmul_cost(*args, transposed=True, **kwargs),
    examples={
        name: lambda m, k, dtype, activation=activation: (
            (_normal(m, k, dtype=dtype), _normal(max(k // 2, 2), k, dtype=dtype), _normal(max(k // 2, 2), dtype=dtype)),
            {"activation": activation} if activation else {},
        )
        for name, activation in (("bias+gelu", "gelu"), ("bias", None), ("bias+relu", "relu"), ("bias+gelu_tanh", "gelu_tanh"))
    },
    sizes=((1024, 1024), (64, 1024)),
    own_up_to=math.inf,  # ours are ahead of MKL on large float32 products, not yet on skinny, small and bfloat16 ones
)


def _conv2d_cost(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups=1) -> Cost:
    y = F.conv2d(*(t.to("meta") for t in (x, weight)), None, stride, padding, dilation, groups)
    moved, flops = _bytes(x, weight, bias, y), 2 * y.numel() * weight[0].numel()
    return Cost(moved, 2 * moved, flops, 2 * flops)


def _conv2d_example(filters: int, kernel: tuple[int, int], groups: int = 1, bias: bool = True, **options) -> Example:
    """n images, 3 pixels high and w wide, of at most 8 channels a group, and `filters` filters for each of these."""

    def example(n: int, w: int, dtype: torch.dtype):
        c = min(w, 8)
        out = filters * c
        args = [_normal(n, groups * c, 3, w, dtype=dtype), _normal(out, c, *kernel, dtype=dtype)]
        return (*args, *[_normal(out, dtype=dtype)] * bias), {"groups": groups, **options}

    return example


CONV2D = Op(
    name="conv2d",
    primitive="matmul",
    file="conv2d",
    without=CPU_ONLY,
    idea="the filters times shifted views of the image: unfolding + matmul without the unfolded matrix",
    # x (N, C, H, W), weight (F, C / groups, kh, kw), bias (F) -> (N, F, out_h, out_w); vertical before horizontal
    forward="(Tensor x, Tensor weight, Tensor? bias, int[] stride, SymInt[] padding, int[] dilation, int groups) -> Tensor",
    backward="(Tensor grad, Tensor x, Tensor weight, int[] stride, SymInt[] padding, int[] dilation, int groups, bool need_x,"
    " bool need_weight, bool need_bias) -> (Tensor, Tensor, Tensor)",
    torch=F.conv2d,
    cost=_conv2d_cost,
    examples={
        "3x3": _conv2d_example(1, (3, 3), padding=1),
        "stride": _conv2d_example(2, (3, 2), stride=(2, 3), padding=(0, 1)),
        "groups, dilation": _conv2d_example(2, (2, 3), groups=2, bias=False, padding=(0, 2), dilation=(2, 2)),
        "same": _conv2d_example(1, (2, 4), padding="same"),
        "1x1": _conv2d_example(2, (1, 1), bias=False),
    },
    sizes=((256, 56), (64, 784)),
)

def _recurrence_example(mode: str, packed=False, projection=False, bias=True, **options) -> Example:
    gates = GATES[mode]

    def example(b: int, inputs: int, dtype: torch.dtype):
        h = min(inputs, 300)  # the weights grow with its square
        lengths = _LENGTHS_PACKED if packed else (1.0,) * _STEPS
        batch_sizes = torch.tensor([math.ceil(b * share) for share in lengths])
        projected = projection and h > 1  # torch takes one to a smaller size only
        state = h // 3 + 1 if projected else h

        def drawn(*shape: int) -> Tensor:  # weights as a layer draws them: the gates are far from saturated
            return torch.rand(shape, dtype=torch.float64).sub(0.5).mul(2 / math.sqrt(max(h, 1))).to(dtype).requires_grad_()

        shape = (int(batch_sizes.sum()), inputs) if packed else (_STEPS, b, inputs)
        biases = [drawn(gates * h) if bias else None for _ in range(2)]
        args = [_normal(*shape, dtype=dtype), drawn(gates * h, inputs), drawn(gates * h, state), *biases]
        args.append(_normal(b, state, dtype=dtype))
        kwargs = {"mode": mode, **options}
        if mode == "lstm":
            kwargs["c0"] = _normal(b, h, dtype=dtype)
        if projected:
            kwargs["weight_hr"] = drawn(state, h)
        if packed:
            kwargs["batch_sizes"] = batch_sizes
        return tuple(args), kwargs

    return example


_STEPS = 3
_LENGTHS_PACKED = (1.0, 0.6, 0.6, 0.2)  # the share of the sequences that are so long


def _recurrence(x, w_ih, w_hh, b_ih, b_hh, h0, *, c0=None, weight_hr=None, batch_sizes=None, mode="lstm", reverse=False):
    """torch's layer with one direction; for the reverse one, both with the same weights, and what the second one gives."""
    directions = 1 + reverse
    weights = [w for w in (w_ih, w_hh, b_ih, b_hh, weight_hr) if w is not None] * directions
    hx = [torch.stack([h] * directions) for h in (h0, c0) if h is not None]
    layer = getattr(torch, mode)
    where = (x, batch_sizes) if batch_sizes is not None else (x,)
    last = () if batch_sizes is not None else (False,)  # batch_first
    y, *state = layer(*where, hx if mode == "lstm" else hx[0], weights, b_ih is not None, 1, 0.0, False, reverse, *last)
    return y[..., -h0.shape[-1] :], *(h[-1] for h in state)


def _recurrence_cost(
    x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None, h0: Tensor, **options
) -> Cost:
    rows = x.numel() // max(x.shape[-1], 1)
    weights = w_ih.numel() + w_hh.numel()
    moved = _bytes(x, w_ih, w_hh, b_ih, b_hh, h0) + rows * h0.shape[-1] * x.element_size()
    return Cost(moved, 2 * moved, 2 * rows * weights, 4 * rows * weights)


RECURRENCE = Op(
    name="recurrence",
    primitive="matmul",
    file="recurrence",
    without=CPU_ONLY,
    idea="a layer of an RNN, LSTM or GRU: inputs projected at once, recurrent weights packed once, each thread owns sequences",
    # x (N, I) packed: row after row of step 0, then of step 1, ...; batch_sizes (T) int64 on the CPU: the rows of each step;
    # w_ih (G H, I), w_hh (G H, P), b_ih and b_hh (G H), h0 (B, P), c0 (B, H), w_hr (P, H), P = H without w_hr
    # -> y (N, P), h_n (B, P), c_n (B, H) or (0), activations (N, G H), inner: the cells of an LSTM, W_hn h + b_hn of a GRU
    forward="(Tensor x, Tensor batch_sizes, Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, Tensor h0, Tensor? c0,"
    " Tensor? w_hr, int mode, bool reverse) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    backward="(Tensor grad, Tensor grad_h, Tensor grad_c, Tensor x, Tensor batch_sizes, Tensor w_ih, Tensor w_hh, Tensor h0,"
    " Tensor? c0, Tensor? w_hr, Tensor y, Tensor activations, Tensor inner, int mode, bool reverse, bool need_x,"
    " bool need_w_ih, bool need_w_hh, bool need_b_ih, bool need_b_hh, bool need_h0, bool need_c0, bool need_w_hr)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    torch=_recurrence,
    cost=_recurrence_cost,
    examples={
        "lstm": _recurrence_example("lstm"),
        "gru": _recurrence_example("gru"),
        "rnn": _recurrence_example("rnn_tanh", bias=False),
        "rnn, packed": _recurrence_example("rnn_tanh", packed=True),
        "gru, packed, reverse": _recurrence_example("gru", packed=True, reverse=True),
        "lstm, packed, projection": _recurrence_example("lstm", packed=True, projection=True, reverse=True, bias=False),
    },
    sizes=((64, 256), (32, 200)),
)

# ---- cross_entropy ------------------------------------------------------------------------------------------------------


def _rows_cost(passes_forward: int, passes_backward: int, flops: int) -> Callable[..., Cost]:
    """Cost of an operator that reads or writes its first argument so often (in tensors of its size)."""

    def cost(x: Tensor, *args, **kwargs) -> Cost:
        return Cost(passes_forward * _bytes(x), passes_backward * _bytes(x), flops * x.numel(), flops * x.numel())

    return cost


def _cross_entropy_example(**options) -> Example:
    def example(n: int, c: int, dtype: torch.dtype):
        kwargs = dict(options)
        shape = (n, c, *kwargs.pop("positions", ()))
        if kwargs.pop("probabilities", False):
            target = torch.rand(shape, dtype=torch.float64).softmax(1).to(dtype)
        else:
            target = torch.randint(max(c, 1), (n, *shape[2:]))
        if kwargs.get("weight"):
            kwargs["weight"] = _constant(c, dtype=dtype)
        return (_normal(*shape, dtype=dtype), target), kwargs

    return example


CROSS_ENTROPY = Op(
    name="cross_entropy",
    primitive="cross_entropy",
    idea="logsumexp(x) - x[target] in one pass over the logits; backward reads them once more and writes the gradient",
    # x (N, C, S); target (N, S) int64 or (N, C, S) probabilities; weight (C)
    # -> loss (N, S) or (), lse (N, S), total_weight () = the divisor of the mean; lse and total_weight float32 or wider
    forward="(Tensor x, Tensor target, Tensor? weight, int reduction, int ignore_index, float label_smoothing)"
    " -> (Tensor, Tensor, Tensor)",
    backward="(Tensor grad, Tensor x, Tensor target, Tensor? weight, Tensor lse, Tensor total_weight, int reduction,"
    " int ignore_index, float label_smoothing) -> Tensor",
    torch=F.cross_entropy,
    cost=_rows_cost(1, 2, 4),
    examples={
        "mean": _cross_entropy_example(),
        "sum": _cross_entropy_example(reduction="sum"),
        "none": _cross_entropy_example(reduction="none"),
        "weight+smoothing": _cross_entropy_example(weight=True, label_smoothing=0.1),
        "ignore_index": _cross_entropy_example(ignore_index=0),
        "probabilities": _cross_entropy_example(probabilities=True, label_smoothing=0.1),
        "positions": _cross_entropy_example(positions=(3, 2), weight=True, label_smoothing=0.1),
    },
    sizes=((2048, 32000), (8192, 1000)),
    own_up_to=2**17,
)


def _softmax_op(name: str, own: Callable, idea: str, own_up_to: float) -> Op:
    return Op(
        name=name,
        primitive="cross_entropy",
        idea=idea,
        forward="(Tensor x, int dim) -> Tensor",
        backward="(Tensor grad, Tensor y, int dim) -> Tensor",  # y is the output
        torch=own,
        cost=_rows_cost(2, 3, 4),
        examples={
            "last dim": lambda n, c, dtype: ((_normal(n, c, dtype=dtype), -1), {}),
            "dim 0": lambda n, c, dtype: ((_normal(n, c, dtype=dtype), 0), {}),
            "middle dim": lambda n, c, dtype: ((_normal(2, n, c, dtype=dtype), 1), {}),
        },
        sizes=((8192, 1000), (512, 32000)),
        own_up_to=own_up_to,
    )


SOFTMAX = _softmax_op("softmax", torch.softmax, "exp(x - max) / sum, the row kept in cache between its two passes", 2**23)
LOG_SOFTMAX = _softmax_op("log_softmax", torch.log_softmax, "x - logsumexp(x), the row in cache between its two passes", 2**17)
LOGSUMEXP = Op(
    name="logsumexp",
    primitive="cross_entropy",
    idea="max + log(sum(exp(x - max))) in one pass",
    forward="(Tensor x, int dim) -> Tensor",  # dim is kept with size 1
    backward="(Tensor grad, Tensor x, Tensor y, int dim) -> Tensor",
    torch=torch.logsumexp,
    cost=_rows_cost(1, 2, 4),
    examples={
        "last dim": lambda n, c, dtype: ((_normal(n, c, dtype=dtype), -1), {}),
        "two dims": lambda n, c, dtype: ((_normal(2, n, c, dtype=dtype), (0, 2)), {"keepdim": True}),
    },
    sizes=((8192, 1000),),
    own_up_to=2**13,
)


def _linear_cross_entropy_example(**options) -> Example:
    def example(n: int, k: int, dtype: torch.dtype):
        classes = 4 * k + 3
        kwargs = dict(options)
        if kwargs.get("linear_bias"):
            kwargs["linear_bias"] = _normal(classes, dtype=dtype)
        scale = max(k, 1) ** -0.5
        w = (torch.randn(classes, k, dtype=torch.float64) * scale).to(dtype).requires_grad_()
        return (_normal(n, k, dtype=dtype), w, torch.randint(classes, (n,))), kwargs

    return example


def _linear_cross_entropy_cost(x: Tensor, weight: Tensor, target: Tensor, **kwargs) -> Cost:
    flops = 2 * x.shape[0] * weight.numel()
    return Cost(_bytes(x, weight), 2 * _bytes(x, weight), flops, 3 * flops)


LINEAR_CROSS_ENTROPY = Op(
    name="linear_cross_entropy",
    primitive="cross_entropy",
    idea="cross_entropy(x W^T + b, target) in chunks of rows: the whole logits never exist",
    # x (N, K), linear_weight (C, K), linear_bias (C), target (N) or (N, C), weight (C)
    # -> loss (N) or (), lse (N), total_weight ()
    forward="(Tensor x, Tensor linear_weight, Tensor? linear_bias, Tensor target, Tensor? weight, int reduction,"
    " int ignore_index, float label_smoothing) -> (Tensor, Tensor, Tensor)",
    backward="(Tensor grad, Tensor x, Tensor linear_weight, Tensor? linear_bias, Tensor target, Tensor? weight, Tensor lse,"
    " Tensor total_weight, int reduction, int ignore_index, float label_smoothing, bool need_x, bool need_linear_weight,"
    " bool need_linear_bias) -> (Tensor, Tensor, Tensor)",
    torch=lambda x, w, target, *, linear_bias=None, **kwargs: F.cross_entropy(F.linear(x, w, linear_bias), target, **kwargs),
    cost=_linear_cross_entropy_cost,
    examples={
        "mean": _linear_cross_entropy_example(),
        "bias, none": _linear_cross_entropy_example(linear_bias=True, reduction="none"),
        "smoothing, sum": _linear_cross_entropy_example(label_smoothing=0.1, reduction="sum"),
    },
    sizes=((512, 768),),
    own_up_to=2**14,
)

# ---- layer_norm ---------------------------------------------------------------------------------------------------------


def _norm_example(residual=False, weight=True, bias=True, dims=1) -> Example:
    def example(n: int, d: int, dtype: torch.dtype):
        shape = (d,) if dims == 1 else (3, d)
        args = [_normal(n, *shape, dtype=dtype) for _ in range(1 + residual)]
        affine = [_normal(*shape, dtype=dtype)] * weight + [_normal(*shape, dtype=dtype)] * (weight and bias)
        # A large eps shows where it stands. And over one or two numbers the gradient is what eps leaves of a difference of
        # equal terms: with a small one, rounding is all that could be compared.
        return (*args, shape, *affine), {"eps": 0.5}

    return example


LAYER_NORM = Op(
    name="layer_norm",
    primitive="layer_norm",
    idea="(x - mean) * rstd * weight + bias, the row read once from memory; dweight and dbias by per-chunk partial sums",
    # over the last `ndim` axes; mean and rstd (..., 1 * ndim), float32 or wider
    forward="(Tensor x, Tensor? weight, Tensor? bias, int ndim, float eps) -> (Tensor, Tensor, Tensor)",
    backward="(Tensor grad, Tensor x, Tensor mean, Tensor rstd, Tensor? weight, int ndim, float eps, bool need_x,"
    " bool need_weight, bool need_bias) -> (Tensor, Tensor, Tensor)",
    torch=F.layer_norm,
    cost=_rows_cost(2, 3, 8),
    examples={
        "affine": _norm_example(),
        "plain": _norm_example(weight=False),
        "no bias": _norm_example(bias=False),
        "2-D shape": _norm_example(dims=2),
    },
    sizes=((16384, 768), (4096, 4096)),
    own_up_to=2**18,
)

RMS_NORM = Op(
    name="rms_norm",
    primitive="layer_norm",
    idea="x / sqrt(mean(x^2) + eps) * weight, the row read once",
    forward="(Tensor x, Tensor? weight, int ndim, float eps) -> (Tensor, Tensor)",  # y, rstd
    backward="(Tensor grad, Tensor x, Tensor rstd, Tensor? weight, int ndim, float eps, bool need_x, bool need_weight)"
    " -> (Tensor, Tensor)",
    torch=F.rms_norm,
    cost=_rows_cost(2, 3, 6),
    examples={
        "weight": _norm_example(bias=False),
        "plain": _norm_example(weight=False),
        "2-D shape": _norm_example(bias=False, dims=2),
    },
    sizes=((16384, 768), (4096, 4096)),
)


def _add_layer_norm(x: Tensor, residual: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
    total = x + residual
    return total, F.layer_norm(total, *args, **kwargs)


ADD_LAYER_NORM = Op(
    name="add_layer_norm",
    primitive="layer_norm",
    idea="x + residual and its LayerNorm in one pass: the sum is normalised while it is in cache",
    # -> sum, y, mean, rstd; two differentiable outputs
    forward="(Tensor x, Tensor residual, Tensor? weight, Tensor? bias, int ndim, float eps)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    # total is the saved sum; the first gradient belongs to x and to residual alike
    backward="(Tensor grad_total, Tensor grad, Tensor total, Tensor mean, Tensor rstd, Tensor? weight, int ndim, float eps,"
    " bool need_x, bool need_weight, bool need_bias) -> (Tensor, Tensor, Tensor)",
    torch=_add_layer_norm,
    cost=_rows_cost(4, 4, 9),
    examples={"affine": _norm_example(residual=True), "plain": _norm_example(residual=True, weight=False)},
    sizes=((16384, 768),),
)


def _batch_norm_example(images: bool = False, running: bool = False, weight: bool = True, bias: bool = True) -> Example:
    """Three samples at least: of one or two a gradient is what eps leaves, as above."""

    def example(n: int, c: int, dtype: torch.dtype):
        x = _normal(3, c, n, 1, dtype=dtype) if images else _normal(n + 2, c, dtype=dtype)
        statistics = (_constant(c, dtype=dtype), _constant(c, dtype=dtype)) if running else (None, None)
        affine = {"weight": _normal(c, dtype=dtype)} if weight else {}
        affine |= {"bias": _normal(c, dtype=dtype)} if bias else {}
        return (x, *statistics), {**affine, "training": not running, "eps": 0.5}

    return example


BATCH_NORM = Op(
    name="batch_norm",
    primitive="layer_norm",
    file="batch_norm",
    without=CPU_ONLY,
    idea="(x - mean) * rstd * weight + bias by channel: what the first pass over a channel read is in cache for the second",
    # x (N, C, ...), the others (C); running statistics None: those of x; -> y, mean and var as used, float32 or wider
    forward="(Tensor x, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, float eps)"
    " -> (Tensor, Tensor, Tensor)",
    # training: mean and var are those of x, and x reaches y through them as well
    backward="(Tensor grad, Tensor x, Tensor? weight, Tensor mean, Tensor var, bool training, float eps, bool need_x,"
    " bool need_weight, bool need_bias) -> (Tensor, Tensor, Tensor)",
    torch=F.batch_norm,
    cost=_rows_cost(2, 3, 8),
    examples={
        "images": _batch_norm_example(images=True),
        "rows": _batch_norm_example(),
        "plain": _batch_norm_example(images=True, weight=False, bias=False),
        "running statistics": _batch_norm_example(images=True, running=True),
        "running, plain": _batch_norm_example(running=True, weight=False, bias=False),
    },
    sizes=((12544, 64), (3136, 256)),
    own_up_to=2**14,
)

# ---- gelu ---------------------------------------------------------------------------------------------------------------

_APPROXIMATE = {"none": {}, "tanh": {"approximate": "tanh"}}

GELU = Op(
    name="gelu",
    primitive="gelu",
    idea="x * Phi(x), one read and one write; backward recomputes Phi from x instead of saving it",
    forward="(Tensor x, bool tanh) -> Tensor",
    backward="(Tensor grad, Tensor x, bool tanh) -> Tensor",
    torch=F.gelu,
    cost=_rows_cost(2, 3, 15),
    examples={k: lambda n, d, dtype, kw=kw: ((_normal(n, d, dtype=dtype),), kw) for k, kw in _APPROXIMATE.items()},
    sizes=((4096, 4096), (1024, 3072)),
)

BIAS_GELU = Op(
    name="bias_gelu",
    primitive="gelu",
    idea="gelu(x + bias) without writing x + bias",
    forward="(Tensor x, Tensor bias, bool tanh) -> Tensor",  # bias (D) over the last axis
    backward="(Tensor grad, Tensor x, Tensor bias, bool tanh, bool need_x, bool need_bias) -> (Tensor, Tensor)",
    torch=lambda x, bias, approximate="none": F.gelu(x + bias, approximate=approximate),
    cost=_rows_cost(2, 3, 16),
    examples={
        k: lambda n, d, dtype, kw=kw: ((_normal(n, d, dtype=dtype), _normal(d, dtype=dtype)), kw)
        for k, kw in _APPROXIMATE.items()
    },
    sizes=((4096, 4096),),
)


def _geglu(x: Tensor, dim: int = -1, approximate: str = "none") -> Tensor:
    a, gate = x.chunk(2, dim)
    return a * F.gelu(gate, approximate=approximate)


GEGLU = Op(
    name="geglu",
    primitive="gelu",
    idea="first half * gelu(second half), as torch's glu with GELU for the sigmoid",
    forward="(Tensor x, int dim, bool tanh) -> Tensor",
    backward="(Tensor grad, Tensor x, int dim, bool tanh) -> Tensor",
    torch=_geglu,
    cost=lambda x, *args, **kwargs: Cost(3 * _bytes(x) // 2, 5 * _bytes(x) // 2, 8 * x.numel(), 9 * x.numel()),
    examples={
        **{k: lambda n, d, dtype, kw=kw: ((_normal(n, 2 * d, dtype=dtype),), kw) for k, kw in _APPROXIMATE.items()},
        "dim 0": lambda n, d, dtype: ((_normal(2 * n, d, dtype=dtype), 0), {}),
    },
    sizes=((4096, 4096),),
)

# ---- gather -------------------------------------------------------------------------------------------------------------


def _gather_cost(x: Tensor, dim: int, index: Tensor) -> Cost:
    moved = index.numel() * x.element_size()
    return Cost(2 * moved + _bytes(index), moved + _bytes(index, x), 0, index.numel())


GATHER = Op(
    name="gather",
    primitive="gather",
    idea="y[i][j] = x[index[i][j]][j] in blocks of columns that stay in cache; backward adds in index order: same bits always",
    forward="(Tensor x, int dim, Tensor index) -> Tensor",
    backward="(Tensor grad, SymInt[] shape, int dim, Tensor index) -> Tensor",  # shape of x
    torch=torch.gather,
    cost=_gather_cost,
    examples={
        "dim 0": lambda n, d, dtype: ((_normal(n, d, dtype=dtype), 0, _index(n, n, d)), {}),
        "dim 1": lambda n, d, dtype: ((_normal(n, d, dtype=dtype), 1, _index(d, n, d)), {}),
        "middle dim, smaller index": lambda n, d, dtype: (
            (_normal(3, n, d, dtype=dtype), 1, _index(n, 2, 2 * n, d - d // 3)),
            {},
        ),
    },
    sizes=((4096, 4096),),
    own_up_to=2**15,
)


def _embedding_cost(index: Tensor, weight: Tensor, *args, **kwargs) -> Cost:
    moved = index.numel() * weight.shape[1] * weight.element_size()
    return Cost(2 * moved + _bytes(index), moved + _bytes(index, weight), 0, index.numel() * weight.shape[1])


def _embedding_example(**options) -> Example:
    return lambda n, d, dtype: ((_index(n, 2 * n, 3), _normal(n, d, dtype=dtype)), {k: v for k, v in options.items() if n})


EMBEDDING = Op(
    name="embedding",
    primitive="gather",
    idea="copy row index[i] of the weight; backward adds rows in index order: the same bits every run",
    # the options matter to the backward alone; padding_idx -1 is none
    forward="(Tensor weight, Tensor index, int padding_idx, bool scale_grad_by_freq) -> Tensor",
    backward="(Tensor grad, Tensor index, SymInt num_embeddings, int padding_idx, bool scale_grad_by_freq) -> Tensor",
    torch=F.embedding,
    cost=_embedding_cost,
    examples={
        "plain": _embedding_example(),
        "padding_idx": _embedding_example(padding_idx=0),
        "scale_grad_by_freq": _embedding_example(scale_grad_by_freq=True),
    },
    sizes=((32000, 512),),
)


# ---- pooling ------------------------------------------------------------------------------------------------------------


def _pool_example(*options, images: bool = False, **kwargs) -> Example:
    """Some channels of an image, or two images of two channels."""

    def example(rows: int, columns: int, dtype: torch.dtype):
        planes = (2, 2) if images else (4,)
        return (_normal(*planes, rows + 2, columns + 2, dtype=dtype), *options), kwargs

    return example


_POOL_SIZES = ((1022, 1022), (222, 222))

MAX_POOL2D = Op(
    name="max_pool2d",
    primitive="gather",
    file="pool2d",
    without=CPU_ONLY,
    idea="the largest entry of every window, along the rows first, then down the columns; backward adds grad where it lay",
    # x (..., H, W); pairs of integers for both axes; -> y, index of the entry in its plane
    forward="(Tensor x, int[] kernel_size, int[] stride, int[] padding, int[] dilation, bool ceil_mode) -> (Tensor, Tensor)",
    backward="(Tensor grad, SymInt[] shape, Tensor index) -> Tensor",  # shape of x
    torch=F.max_pool2d,
    cost=lambda x, *args, **kwargs: Cost(4 * _bytes(x) // 2, 4 * _bytes(x) // 2, x.numel(), x.numel() // 4),
    examples={
        "2x2": _pool_example(2),
        "3x3, stride 2": _pool_example(3, 2, 1, images=True),
        "dilation, ceil": _pool_example((2, 3), (1, 2), (0, 1), (2, 1), ceil_mode=True),
        "overlapping": _pool_example((2, 3), 1, 1, images=True),
    },
    sizes=_POOL_SIZES,
    own_up_to=2**14,
)

AVG_POOL2D = Op(
    name="avg_pool2d",
    primitive="gather",
    file="pool2d",
    without=CPU_ONLY,
    idea="the mean of every window, down the columns first, then along the rows; backward is the same sum over other windows",
    # divisor_override 0 is none
    forward="(Tensor x, int[] kernel_size, int[] stride, int[] padding, bool ceil_mode, bool count_include_pad,"
    " int divisor_override) -> Tensor",
    backward="(Tensor grad, SymInt[] shape, int[] kernel_size, int[] stride, int[] padding, bool ceil_mode,"
    " bool count_include_pad, int divisor_override) -> Tensor",
    torch=F.avg_pool2d,
    cost=lambda x, *args, **kwargs: Cost(5 * _bytes(x) // 4, 5 * _bytes(x) // 4, x.numel(), x.numel()),
    examples={
        "2x2": _pool_example(2),
        "3x3, stride 2": _pool_example(3, 2, 1, images=True),
        "ceil": _pool_example((2, 3), (1, 2), (0, 1), True),
        "without padding": _pool_example(3, 1, 1, False, False),
        "divisor": _pool_example((1, 2), divisor_override=3),
    },
    sizes=_POOL_SIZES,
    own_up_to=2**13,
)

ADAPTIVE_AVG_POOL2D = Op(
    name="adaptive_avg_pool2d",
    primitive="gather",
    file="pool2d",
    without=CPU_ONLY,
    idea="the mean of windows that divide the image into as many rows and columns as asked for",
    forward="(Tensor x, SymInt[] output_size) -> Tensor",
    backward="(Tensor grad, SymInt[] shape) -> Tensor",
    torch=F.adaptive_avg_pool2d,
    cost=lambda x, *args, **kwargs: Cost(_bytes(x), _bytes(x), x.numel(), x.numel()),
    examples={
        "1": _pool_example(1, images=True),
        "4x5": _pool_example((4, 5)),
        "larger than the image": _pool_example((3, None)),
    },
    sizes=_POOL_SIZES,
    own_up_to=2**16,
)

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        MATMUL, LINEAR, CONV2D, RECURRENCE,
        CROSS_ENTROPY, SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, LINEAR_CROSS_ENTROPY,
        LAYER_NORM, RMS_NORM, ADD_LAYER_NORM, BATCH_NORM,
        GELU, BIAS_GELU, GEGLU,
        GATHER, EMBEDDING, MAX_POOL2D, AVG_POOL2D, ADAPTIVE_AVG_POOL2D,
    )
}  # fmt: skip
PRIMITIVES = tuple(dict.fromkeys(op.primitive for op in OPS.values()))

"""The grid as data: every operator of the five primitives, its kernel signature, its cost and example calls.

Everything that needs a list of kernels reads it from here: operator registration and dispatch, `scratchnet info | verify |
bench`, the tests, the benchmarks and the tables in the docs.

One operator is a pair of kernels that has the same names and the same arguments in every backend:

    <name>_forward(*arguments)  -> the outputs, then what backward needs
    <name>_backward(*arguments) -> one gradient per differentiable input; None for an input whose `need_...` flag is False
                                   (a compiled kernel returns an empty tensor there: torch schemas have no optional results)

Codes that cross into C++ are integers: `activation` and `reduction` are indices into the tuples below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = ("none", "relu", "gelu", "gelu_tanh")
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
            "gelu": ("fused tiles",),
        },
    ),
}

Example = Callable[[int, int, torch.dtype], tuple[tuple, dict]]


@dataclass(frozen=True)
class Op:
    """One operator: `scratchnet.functions.<primitive>.<name>` and the pair of kernels behind it."""

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

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        MATMUL, LINEAR,
        CROSS_ENTROPY, SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, LINEAR_CROSS_ENTROPY,
        LAYER_NORM, RMS_NORM, ADD_LAYER_NORM,
        GELU, BIAS_GELU, GEGLU,
        GATHER, EMBEDDING,
    )
}  # fmt: skip
PRIMITIVES = tuple(dict.fromkeys(op.primitive for op in OPS.values()))

"""How the options of each operator are drawn; an operator without an entry here is drawn only from its Op's examples."""

from __future__ import annotations

import math
import random
from typing import Callable

import torch
from torch import Tensor

from scratchnet.ops import EPILOGUES, GATES, REDUCTIONS
from scratchnet.ops.gated import GATES_BY
from scratchnet.ops.op import constant, normal


class Draw:
    """The source of one case's numbers; those of tensors come from torch's generator, which the caller has seeded."""

    def __init__(self, source: random.Random, dtype: torch.dtype):
        self.random, self.dtype = source, dtype

    def pick(self, *choices):
        return self.random.choice(choices)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def whole(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def size(self) -> int:
        """Sometimes 0 or 1, mostly a number up to 40, small ones more often, rarely one up to 300."""
        if self.chance(0.04):
            return 0
        return int(math.exp(self.random.uniform(0, math.log(301 if self.chance(0.1) else 41))))

    def sizes(self, count: int, most: int = 50_000) -> list[int]:
        """Sizes whose product is at most `most`, so that a case takes only milliseconds."""
        sizes = [self.size() for _ in range(count)]
        while math.prod(sizes) > most:
            sizes[sizes.index(max(sizes))] //= 2
        return sizes

    def normal(self, *shape: int) -> Tensor:
        return normal(*shape, dtype=self.dtype)

    def constant(self, *shape: int) -> Tensor:
        return constant(*shape, dtype=self.dtype)

    def maybe(self, make: Callable[..., Tensor], *shape: int) -> Tensor | None:
        return make(*shape) if self.chance(0.6) else None

    def index(self, high: int, *shape: int, types=(torch.int64, torch.int64, torch.int32)) -> Tensor:
        return torch.randint(max(high, 1), shape).to(self.pick(*types))

    def pair(self, low: int, high: int) -> int | tuple[int, int]:
        return self.pick(self.whole(low, high), (self.whole(low, high), self.whole(low, high)))


def _matmul(d: Draw):
    m, k, n, *batch = d.sizes(d.pick(3, 3, 4, 5), 500_000)
    of = lambda: [d.pick(size, size, 1) for size in batch[d.whole(0, len(batch)) :]]  # the batch axes broadcast
    a = d.normal(k) if d.chance(0.1) else d.normal(*of(), m, k)
    b = d.normal(k) if d.chance(0.1) else d.normal(*of(), k, n)
    return (a, b), {}


def _linear(d: Draw):
    k, n, *rows = d.sizes(d.pick(2, 3, 3, 4), 500_000)
    weight = d.normal(k) if d.chance(0.1) else d.normal(n, k)
    activation = d.pick(None, *EPILOGUES[1:])
    bias = d.maybe(d.normal, *weight.shape[:-1])
    return (d.normal(*rows, k), weight, bias), {"activation": activation} if activation else {}


def _conv2d(d: Draw):
    groups, n = d.pick(1, 1, 2, 3), d.whole(0, 3)
    c, f = (d.whole(1, 70) if d.chance(0.2) else d.whole(1, 5) for _ in range(2))
    h, w = d.sizes(2, 400)
    x = d.normal(groups * c, h, w) if d.chance(0.2) else d.normal(n, groups * c, h, w)
    options = {"stride": d.pair(1, 3), "padding": d.pair(0, 3), "dilation": d.pair(1, 3), "groups": groups}
    if d.chance(0.25):
        options |= {"padding": d.pick("same", "valid"), "stride": 1}
    return (x, d.normal(groups * f, c, d.whole(1, 4), d.whole(1, 4)), d.maybe(d.normal, groups * f)), options


def _recurrence(d: Draw):
    mode = d.pick(*GATES)
    t, b, i, h = d.whole(1, 5), *d.sizes(3, 2_000)
    h = min(max(h, 1), 60)
    projected = mode == "lstm" and h > 1 and d.chance(0.3)
    state, rows, biased = d.whole(1, h - 1) if projected else h, GATES[mode] * h, d.chance(0.7)
    weight = lambda *shape: (d.normal(*shape).detach() / max(h, 1) ** 0.5).requires_grad_()
    options = {"mode": mode, "reverse": d.chance(0.3)}
    x = d.normal(t, b, i)
    if d.chance(0.5) and b:
        lengths = sorted((d.whole(1, b) for _ in range(t - 1)), reverse=True)
        options["batch_sizes"] = torch.tensor([b, *lengths])
        x = d.normal(b + sum(lengths), i)
    if mode == "lstm":
        options["c0"] = d.normal(b, h)
    if projected:
        options["weight_hr"] = weight(state, h)
    biases = [weight(rows) if biased else None for _ in range(2)]
    return (x, weight(rows, i), weight(rows, state), *biases, d.normal(b, state)), options


def _loss(d: Draw, classes: int, rows: list[int], logits: list[int]) -> tuple[Tensor, dict]:
    """Target and options of a cross-entropy."""
    options = {"reduction": d.pick(*REDUCTIONS), "label_smoothing": d.pick(0.0, 0.0, 0.1, 1.0)}
    if d.chance(0.4):
        options["weight"] = d.constant(classes)
    if d.chance(0.3):
        return torch.rand(logits, dtype=torch.float64).to(d.dtype), options
    target = d.index(classes, *rows, types=(torch.int64, torch.int64, torch.uint8))
    if d.chance(0.4):
        options["ignore_index"] = d.pick(-100, 0, classes - 1)
        if target.dtype == torch.int64:
            target = target.where(torch.rand(rows) < 0.7, options["ignore_index"])
    return target, options


def _cross_entropy(d: Draw):
    c, *others = d.sizes(d.pick(1, 2, 2, 3, 4))
    c = max(c, 1) if d.chance(0.9) else c
    shape = [others[0], c, *others[1:]] if others else [c]
    target, options = _loss(d, c, others, shape)
    return (d.normal(*shape), target), options


def _linear_cross_entropy(d: Draw):
    k, c, *n = d.sizes(d.pick(2, 3, 3, 3))
    c = max(c, 1)
    target, options = _loss(d, c, n, [*n, c])
    if target.is_floating_point():
        options.pop("ignore_index", None)
    if c > 1 and d.chance(0.2):  # all else of a single class's gradient is the rounding of what cancels
        options["z_loss"] = d.pick(1e-4, 0.1)
    if d.chance(0.2):
        options["softcap"] = d.pick(0.5, 5.0)
    if d.chance(0.2):
        options["token_weight"] = d.constant(*n)
    return (d.normal(*n, k), d.normal(c, k), target), options | {"linear_bias": d.maybe(d.normal, c)}


def _attention(d: Draw):
    groups, share, e, ev, rows, keys = d.whole(1, 3), d.pick(1, 1, 2, 3), *d.sizes(4, 20_000)
    b, heads = d.whole(0, 3), groups * share
    options = {"is_causal": d.chance(0.4), "enable_gqa": share > 1, "scale": d.pick(None, 0.3)}
    if d.chance(0.5):
        mask = [d.pick(size, size, 1) for size in (b, heads, rows, keys)][d.whole(0, 2) :]  # torch's have two axes or more
        options["is_causal"] = False  # one of torch's paths refuses both
        options["attn_mask"] = torch.rand(mask) < 0.7 if d.chance(0.5) else d.normal(*mask).detach()
    if d.chance(0.3):
        options["window"] = d.pick(d.whole(1, 20), (d.whole(0, 9), None), (d.whole(0, 9), d.whole(0, 9)))
    if d.chance(0.2):
        options["softcap"] = d.pick(0.5, 5.0)
    if d.chance(0.2):
        options["sinks"] = d.normal(heads)
    return (d.normal(b, heads, rows, e), d.normal(b, groups, keys, e), d.normal(b, groups, keys, ev)), options


def _softmax(d: Draw):
    shape = d.sizes(d.whole(0, 4))
    return (d.normal(*shape), d.whole(-max(len(shape), 1), max(len(shape), 1) - 1)), {}


def _logsumexp(d: Draw):
    (x, dim), _ = _softmax(d)
    if d.chance(0.4):
        dim = tuple(d.random.sample(range(x.dim()), d.whole(0, x.dim())))
    return (x, dim), {"keepdim": d.chance(0.5)}


def _eps(d: Draw, count: int) -> float:
    """A large eps for one or two numbers, as in scratchnet.ops: with a small one only rounding would be left to compare."""
    return d.pick(0.5, 1e-2, 1e-5) if count > 2 else 0.5


def _norm(bias: bool = True, residual: bool = False):
    def draw(d: Draw):
        shape = d.sizes(d.whole(1, 4))
        own = shape[d.whole(0, len(shape) - 1) :]
        weight = d.maybe(d.normal, *own)
        affine = [weight, d.maybe(d.normal, *own)] if bias else [weight]
        return (*(d.normal(*shape) for _ in range(1 + residual)), own, *affine), {"eps": _eps(d, math.prod(own))}

    return draw


def _batch_norm(d: Draw):
    n, c, *others = d.sizes(d.pick(2, 2, 3, 4, 4, 5))
    training = d.chance(0.6)
    running = (d.constant(c), d.constant(c)) if not training or d.chance(0.5) else (None, None)
    options = {"training": training, "momentum": d.pick(0.1, 0.0, 1.0), "eps": _eps(d, n * math.prod(others))}
    return (d.normal(n, c, *others), *running, d.maybe(d.normal, c), d.maybe(d.normal, c)), options


def _gelu(d: Draw):
    return (d.normal(*d.sizes(d.whole(0, 4))),), {"approximate": d.pick("none", "tanh")}


def _bias_gelu(d: Draw):
    shape = d.sizes(d.whole(1, 4))
    return (d.normal(*shape), d.normal(shape[-1])), {"approximate": d.pick("none", "tanh")}


def _geglu(d: Draw):
    shape = d.sizes(d.whole(1, 4))
    dim = d.whole(-len(shape), len(shape) - 1)
    shape[dim] *= 2
    return (d.normal(*shape), dim), {"approximate": d.pick("none", "tanh")}


def _self_gated(d: Draw):
    return (d.normal(*d.sizes(d.whole(0, 4))),), {}


def _glu(d: Draw):
    (x, dim), _ = _geglu(d)
    return (x, dim), {"activation": d.pick(*GATES_BY), "gate_first": d.chance(0.5)}


def _gated(d: Draw):
    shape = d.sizes(d.whole(0, 4))
    return (d.normal(*shape), d.normal(*shape)), {"activation": d.pick(*GATES_BY)}


def _gather(d: Draw):
    shape = d.sizes(d.whole(0, 4))
    dim = d.whole(-max(len(shape), 1), max(len(shape), 1) - 1)
    of = [d.pick(size, d.whole(0, size)) for size in shape]
    if shape:
        of[dim] = d.size() if shape[dim] else 0
    return (d.normal(*shape), dim, d.index(shape[dim] if shape else 1, *of)), {}


def _scatter_add(d: Draw):
    (x, dim, index), _ = _gather(d)
    src = index.shape if d.chance(0.5) else [size + d.whole(0, 2) for size in index.shape]  # without a gradient in torch
    return (x, dim, index, d.normal(*src).requires_grad_(tuple(src) == tuple(index.shape))), {}


def _index_add(d: Draw):
    shape = d.sizes(d.whole(1, 4))
    dim = d.whole(-len(shape), len(shape) - 1)
    source = [*shape]
    source[dim] = d.size() if shape[dim] else 0
    args = (d.normal(*shape), dim, d.index(shape[dim], source[dim]), d.normal(*source))
    return args, {"alpha": d.pick(-1, 0.5)} if d.chance(0.3) else {}


def _embedding(d: Draw):
    rows, columns = d.sizes(2, 5_000)
    index = d.index(rows, *(d.sizes(d.whole(0, 3), 500) if rows else (0,)))
    options = {"padding_idx": d.whole(-rows, rows - 1)} if rows and d.chance(0.4) else {}
    return (index, d.normal(rows, columns)), options | {"scale_grad_by_freq": d.chance(0.3)}


def _embedding_bag(d: Draw):
    rows, columns = d.sizes(2, 5_000)
    mode, offsets, options = d.pick("sum", "mean", "max"), None, {}
    if d.chance(0.4):
        index = d.index(rows, d.size() if rows else 0, d.whole(1, 5), types=(torch.int64,))
    else:
        index = d.index(rows, d.size() if rows else 0, types=(torch.int64,))
        offsets = torch.randint(index.shape[0] + 1, (d.whole(1, 12),)).sort().values
        offsets[0] = 0
        if d.chance(0.3):  # torch's own dies of SIGSEGV for no bags but entries, and leaves out entries behind the last or not
            options["include_last_offset"] = True
            offsets = torch.cat((offsets, torch.tensor([index.shape[0]])))
    if rows and d.chance(0.4):
        options["padding_idx"] = d.whole(-rows, rows - 1)
    if mode == "sum":
        options["per_sample_weights"] = d.maybe(d.normal, *index.shape)
    return (index, d.normal(rows, columns), offsets), options | {"mode": mode}


def _image(d: Draw) -> Tensor:
    return d.normal(*d.pick((), (d.whole(0, 3),)), d.whole(1, 3), *d.sizes(2, 2_000))


def _max_pool2d(d: Draw):
    options = {"stride": d.pick(None, d.pair(1, 3)), "padding": d.pick(0, d.pair(0, 2)), "ceil_mode": d.chance(0.4)}
    dilation = d.pick(1, d.pair(1, 3))
    if dilation != 1:  # torch's backward writes past its memory for a window whose taps step over the image into the padding
        options["padding"] = 0
    return (_image(d), d.pair(1, 5)), options | {"dilation": dilation}


def _avg_pool2d(d: Draw):
    args, options = _max_pool2d(d)
    del options["dilation"]
    return args, options | {"count_include_pad": d.chance(0.5), "divisor_override": d.pick(None, None, 3, -2)}


def _adaptive_avg_pool2d(d: Draw):
    return (_image(d), d.pick(d.whole(0, 12), (d.whole(1, 12), d.whole(1, 12)), (None, d.whole(1, 9)))), {}


def _rope(d: Draw):
    tokens, columns, batch = *d.sizes(2, 400), d.whole(0, 3)
    heads, unsqueeze_dim = (d.whole(0, 4), d.whole(0, 3)), d.pick(1, 1, 2)
    shapes = [(batch, h, tokens, columns) if unsqueeze_dim == 1 else (batch, tokens, h, columns) for h in heads]
    rotary = d.pick(columns // 2, d.whole(0, columns // 2)) * 2
    ids = {}
    if d.chance(0.4) and tokens:
        shape = (d.whole(1, 9), rotary)
        ids["position_ids"] = d.index(shape[0], *d.pick((), (1,), (batch,)), tokens)
    else:
        shape = (*d.pick((), (1,), (batch,)), tokens, rotary)
    wide = torch.float64 if d.dtype == torch.float64 else d.pick(d.dtype, torch.float32)
    cos, sin = (normal(*shape, dtype=wide).requires_grad_(d.chance(0.1)) for _ in range(2))
    options = {"unsqueeze_dim": unsqueeze_dim, "interleaved": d.chance(0.5)}
    return (*(d.normal(*s) for s in shapes), cos, sin), ids | options


def _dropout(d: Draw):
    shape = d.sizes(d.whole(0, 4))
    p, seed = d.pick(0.1, 0.5, 0.0, 1.0, 0.999), torch.tensor(d.whole(-(2**63), 2**63 - 1))
    options = {"seed": seed, "training": d.chance(0.9)}
    return (d.normal(*shape), p), options | ({"residual": d.normal(*shape)} if d.chance(0.6) else {})


DRAWERS: dict[str, Callable[[Draw], tuple[tuple, dict]]] = {
    "matmul": _matmul,
    "linear": _linear,
    "conv2d": _conv2d,
    "recurrence": _recurrence,
    "cross_entropy": _cross_entropy,
    "attention": _attention,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "logsumexp": _logsumexp,
    "linear_cross_entropy": _linear_cross_entropy,
    "layer_norm": _norm(),
    "rms_norm": _norm(bias=False),
    "add_layer_norm": _norm(residual=True),
    "dropout": _dropout,
    "batch_norm": _batch_norm,
    "gelu": _gelu,
    "bias_gelu": _bias_gelu,
    "geglu": _geglu,
    "glu": _glu,
    "gated": _gated,
    "silu": _self_gated,
    "quick_gelu": _self_gated,
    "squared_relu": _self_gated,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "index_add": _index_add,
    "embedding": _embedding,
    "embedding_bag": _embedding_bag,
    "rope": _rope,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d,
}

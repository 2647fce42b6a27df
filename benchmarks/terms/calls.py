"""Numbers of memory and of PyTorch around our kernels: the roof, fusion, bytes kept for backward, what a call costs."""

from __future__ import annotations

import functools
from typing import Callable

import torch
import torch.nn.functional as F

import scratchnet
from scratchnet.measure import memory, roof
from scratchnet.ops import OPS
from terms import number, seconds, size, times
from terms.rungs import on, side, threads


@functools.cache
def _roof() -> tuple[float, float]:
    return roof.bandwidth("cpu", 12 * size(1 << 25)), roof.multiply_adds(torch.float32)


@number("GB/s")
def bandwidth():
    """Bytes of torch.add(a, b, out=c) on three warm arrays of 128 MiB / its time."""
    return _roof()[0] / 1e9


@number("FLOP a byte")
def ridge():
    """FLOP/s of multiply-adds in registers / bytes per second of torch.add on large arrays."""
    return _roof()[1] / _roof()[0]


def _intensity(op: str, rows: int, columns: int) -> float:
    arguments, options = next(iter(OPS[op].examples.values()))(rows, columns, torch.float32)
    cost = OPS[op].cost(*arguments, **options)
    return cost.forward_flops / cost.forward_bytes


@number("FLOP a byte")
def intensity_of_matmul():
    """FLOP of matmul of 1,024 x 1,024 matrices / bytes of its inputs and its result."""
    return _intensity("matmul", 1024, 1024)


@number("FLOP a byte")
def intensity_of_gelu():
    """The same of GELU of 1,024 x 1,024 numbers."""
    return _intensity("gelu", 1024, 1024)


@number("times")
def passes():
    """Times that cross_entropy's forward goes over the logits in rung 1 / in rung 2, with the online sum."""
    op = OPS["cross_entropy"]
    arguments, _ = next(iter(op.examples.values()))(8, 64, torch.float32)
    first, second = (op.passes[f"cpp:{rung}"](*arguments).forward_bytes for rung in (1, 2))
    return first / second


@number("result")
def same_bits():
    """Different results of a bias gradient of 4,096 x 64 numbers on 1, 2 and 3 threads, by linear in C++."""
    x, weight, grad = torch.randn(4096, 8), torch.randn(64, 8), torch.randn(4096, 64)
    seen = set()
    for count in (1, 2, 3):
        bias = torch.zeros(64, requires_grad=True)
        with threads(count), scratchnet.backend("cpp"):
            scratchnet.linear(x, weight, bias).backward(grad)
        seen.add(bias.grad.numpy().tobytes())
    return len(seen)


@number("times")
def strided():
    """Time of copying a transposed matrix of 2,048 x 2,048 into order / of copying one that is in order."""
    x = torch.ones(side(2048), side(2048))
    return times(x.T.contiguous, x.clone)


@number("bytes")
def broadcast_bytes():
    """Storage of a row of 1,024 float32 numbers that is seen as 1,000 rows."""
    return torch.ones(1024).expand(1000, 1024).untyped_storage().nbytes()


@number("times")
def fused():
    """Time of GELU's tanh formula as eight operations of torch / as one kernel, on 4,096 x 1,024 numbers, on one thread."""
    x = torch.randn(size(1 << 22))
    apart = lambda: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))
    with threads(1):
        return times(apart, on("cpp", scratchnet.gelu, x, "tanh"))


@number("times")
def epilogue():
    """Time of linear, then torch.relu / of linear with ReLU in its epilogue, on 4,096 x 64 x 1,024, on one thread."""
    x, weight, bias = torch.randn(size(4096), 64), torch.randn(1024, 64), torch.randn(1024)
    apart = on("cpp", lambda: torch.relu(scratchnet.linear(x, weight, bias)))
    with threads(1):
        return times(apart, on("cpp", scratchnet.linear, x, weight, bias, "relu"))


def _kept(call: Callable) -> int:
    """Bytes that backward keeps, each storage once."""
    seen: dict[int, int] = {}

    def pack(t):
        seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        call()
    return sum(seen.values())


@number("times")
def recomputed():
    """Bytes kept for backward by attention that is written out / by ours, 8 heads, 512 x 512 scores of float32."""
    q, k, v = (torch.randn(1, 8, 512, 64, requires_grad=True) for _ in range(3))
    apart = lambda: torch.softmax(q @ k.mT / 8, -1) @ v

    def ours():
        with scratchnet.backend("cpp"):
            return scratchnet.scaled_dot_product_attention(q, k, v)

    return _kept(apart) / _kept(ours)


@number("bytes")
def saved_by_gelu():
    """Bytes that GELU of 1,024 float32 numbers keeps for backward: its input."""
    x = torch.randn(1024, requires_grad=True)

    def call():
        with scratchnet.backend("cpp"):
            return scratchnet.gelu(x)

    return _kept(call)


@number("bytes")
def saved_by_dropout():
    """Bytes that dropout of 1,000,000 numbers keeps for backward if it is given a seed: the seed."""
    x = torch.ones(1_000_000, requires_grad=True)

    def call():
        with scratchnet.backend("cpp"):
            return scratchnet.dropout(x, 0.5, seed=torch.tensor(1))

    return _kept(call)


@number("times")
def gradient_costs():
    """Time of scratchnet.gelu of 16 numbers with a gradient to come / without, on C++."""
    x, leaf = torch.randn(16), torch.randn(16, requires_grad=True)

    def call(t):
        with scratchnet.backend("cpp"):
            for _ in range(100):
                scratchnet.gelu(t)

    return times(lambda: call(leaf), lambda: call(x))


@number("us")
def dispatched():
    """Time of one torch.relu of a single number."""
    x = torch.ones(1)

    def call():
        for _ in range(1000):
            torch.relu(x)

    return seconds(call) / 1000 * 1e6


@number("times")
def workspace():
    """Bytes that attention adds at its peak, forward, if it is written out / by ours: 8 heads, 2,048 x 2,048 scores."""
    n = max(256, side(2048))
    q, k, v = (torch.randn(1, 8, n, 64) for _ in range(3))
    apart = memory.peak(lambda: torch.softmax(q @ k.mT / 8, -1) @ v)
    return apart / max(4096, memory.peak(on("cpp", scratchnet.scaled_dot_product_attention, q, k, v)))


@number("additions")
def duplicates():
    """Additions to row 0 of the gradient of an embedding whose 1,000 indices are all 0, each of 1."""
    table = torch.zeros(2, 1, requires_grad=True)
    F.embedding(torch.zeros(1000, dtype=torch.int64), table).sum().backward()
    return float(table.grad[0, 0])


@number("ulp")
def oracle_distance():
    """The largest difference between float32 and float64 softmax of 4,096 normal numbers, in spacings of the float32 one."""
    x = torch.randn(4096, generator=torch.Generator().manual_seed(0))
    y, exact = torch.softmax(x, 0), torch.softmax(x.double(), 0)
    spacing = torch.nextafter(y, torch.full_like(y, torch.inf)) - y
    return float(((y - exact).abs() / spacing).max())

"""Losses of the rows of logits z = x W^T + b, which exist for a chunk of rows at a time, and their gradients.

A loss is a pair, as everywhere in the house, of a chunk's logits and what belongs to its rows:

    forward(z, rows..., whole...)                -> the loss of each row, the statistics of each row, what backward needs
    backward(grad, z, saved, rows..., whole...)  -> the gradient of the logits; z may be overwritten

`InChunks` does the rest, the same for all: the products, softcap, and the sums over the chunks. Where the losses are summed
the incoming gradient is a single number: forward makes the gradients for 1 while it has the logits, 6 N K C operations.
A loss for every row has them made by backward, from logits that are made again: 8 N K C.

Every step is an operator of the grid, so that `backend(...)` chooses who computes it.
"""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, NamedTuple, Sequence

import torch
from torch import Tensor

from scratchnet import backends, columns
from scratchnet.functions.dispatch import OPERATORS, Function, unknown, wanted
from scratchnet.functions.matmul import linear, matmul
from scratchnet.ops import OPS, REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LossOptions
from scratchnet.torch_private import batched, recording

_LAST = DimOptions(1)
SLICE = 4096  # classes whose part of dW is made at a time, before it is added


def softcapped(logits: Tensor, softcap: float | None) -> Tensor:
    """softcap * tanh(logits / softcap): nearly the logits where they are small, never beyond +-softcap."""
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def total(x: Tensor) -> Tensor:
    """The sum of x (N,), in parts that torch does not split over threads: the same bits on any number of them."""
    return torch.stack([part.sum() for part in x.split(1 << 14)]).sum()


def entropy(logits: Tensor) -> Tensor:
    """-sum p log p of each row (N, C), in nats, where 0 log 0 is 0. Logits without gradients."""
    log_p = OPERATORS["log_softmax"](logits, _LAST)
    p = log_p.exp()
    return -p.mul_(log_p.clamp_(min=torch.finfo(p.dtype).min)).sum(1)


class TokenLoss(NamedTuple):
    """share * cross_entropy(z, target) + z_loss * z_share * logsumexp(z)^2 of each row; a z_share of 0 adds nothing.

    d/dz_c = share * dcross_entropy/dz_c + 2 z_loss z_share logsumexp(z) p_c.
    """

    kernel: Any  # whose `forward` and `backward` are cross_entropy's
    options: LossOptions
    z_loss: float
    statistics: bool
    whole = 1  # inputs that belong to all rows: the class weights
    tensors = 1  # of the size of the logits that are to fit into a chunk's memory

    def forward(self, z, target, share, z_share, weight):  # (n, C); (n) or (n, C), (n), (n); (C) or None
        loss, lse, total_weight = self.kernel.forward(z.unsqueeze(2), target.unsqueeze(-1), weight, self.options)
        values = share * loss.squeeze(1)
        if self.z_loss:
            values = values + torch.where(z_share != 0, self.z_loss * z_share * lse.squeeze(1).square(), 0.0)
        seen = (entropy(z.detach()), lse.detach().squeeze(1), z.detach().argmax(1)) if self.statistics else ()
        return values, seen, (lse, total_weight)

    def backward(self, grad, z, saved, target, share, z_share, weight):
        upstream = (grad * share).to(z.dtype).unsqueeze(1)
        d = self.kernel.backward(upstream, z.unsqueeze(2), target.unsqueeze(-1), weight, *saved, self.options).squeeze(2)
        if self.z_loss:
            slope = torch.where(z_share != 0, 2 * self.z_loss * grad * z_share * saved[0].squeeze(1), 0.0)
            d.addcmul_(OPERATORS["softmax"](z, _LAST), slope.to(z.dtype).unsqueeze(1))
        return d

    def plain(self) -> TokenLoss:
        return self._replace(kernel=Formula)


class Formula:
    """cross_entropy's plain PyTorch operations in place of a kernel: differentiable, under every transform, on every device."""

    forward = staticmethod(columns.kernel(OPS["cross_entropy"], "reference", "forward"))
    backward = staticmethod(columns.kernel(OPS["cross_entropy"], "reference", "backward"))


class InChunks(Function):
    """The losses of the rows, or their sum if `single`, then their statistics."""

    @staticmethod
    def forward(ctx, loss, softcap, single, x, weight, bias, *rest):
        ctx.loss, ctx.softcap, ctx.single, ctx.made, ctx.backend = loss, softcap, single, None, backends.current()
        ctx.save_for_backward(x, weight, bias, *rest)
        chunks = Chunks(loss, softcap, x, weight, bias)
        sums = Gradients(chunks, ctx.needs_input_grad[3:6]) if single and any(ctx.needs_input_grad) else None
        values, seen = [], []
        for part, z, tanh in chunks:
            inputs = _of(loss, part, rest)
            value, statistics, saved = loss.forward(z, *inputs)
            values.append(value.sum(0, keepdim=True) if single else value)
            seen.append(statistics)
            if sums:
                sums.add(part, tanh, loss.backward(torch.ones_like(value), z, saved, *inputs))
        if sums:
            ctx.made = sums.results()
        losses = torch.cat(values)
        statistics = tuple(map(torch.cat, zip(*seen, strict=True)))
        ctx.mark_non_differentiable(*statistics)
        return ((losses.sum() if single else losses).to(chunks.dtype), *statistics)

    @staticmethod
    def backward(ctx, grad, *unused):
        x, weight, bias, *rest = ctx.saved_tensors
        needs = wanted(ctx)[3:6]
        made, ctx.made = ctx.made, None  # scaled where they are: a second backward makes its own
        if torch.is_grad_enabled() or batched(grad):  # create_graph=True, vmap: the formula is differentiable again
            with torch.enable_grad():
                value = plain(ctx.loss, ctx.softcap, ctx.single, x, weight, bias, *rest)[0]
            asked = [t for t, needed in zip((x, weight, bias), needs, strict=True) if needed]
            found = iter(torch.autograd.grad(value, asked, grad, create_graph=torch.is_grad_enabled()))
            gradients = [next(found) if needed else None for needed in needs]
        elif made:
            gradients = [g.mul_(grad).to(x.dtype) if needed else None for g, needed in zip(made, needs, strict=True)]
        else:
            with backends.backend(ctx.backend), _full_precision(x):
                chunks = Chunks(ctx.loss, ctx.softcap, x, weight, bias)
                sums = Gradients(chunks, needs)
                for part, z, tanh in chunks:
                    inputs = _of(ctx.loss, part, rest)
                    value, _, saved = ctx.loss.forward(z, *inputs)
                    upstream = grad.expand_as(value) if ctx.single else grad[part]
                    sums.add(part, tanh, ctx.loss.backward(upstream.to(value.dtype), z, saved, *inputs))
                gradients = [None if g is None else g.to(x.dtype) for g in sums.results()]
        return (None, None, None, *gradients, *[None] * len(rest))


def _of(loss, part: slice, rest: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """What a chunk of rows takes beside its logits: its part of what belongs to the rows, and the whole of the other."""
    rows = len(rest) - loss.whole
    return *(r[part] for r in rest[:rows]), *rest[rows:]


class Chunks:
    """The chunks of the rows of x (N, K) and their logits with W (C, K) and b (C,): in float32, or float64 if x is."""

    def __init__(self, loss, softcap: float | None, x: Tensor, weight: Tensor, bias: Tensor | None):
        self.dtype = torch.promote_types(x.dtype, torch.float32)
        self.x, self.weight = x.to(self.dtype), weight.to(self.dtype)
        self.bias = None if bias is None else bias.to(self.dtype)
        self.softcap = softcap
        self.size = min(max((1 << 23) // (loss.tensors * (weight.shape[0] + 1)), 64), 256)  # at best 32 MiB of logits

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Part of the rows, their logits, and the tanh of softcap: z / softcap has lost the last digit, which 1 - tanh^2 needs.

        At least one chunk, which may be empty: sums over no rows are results too.
        """
        for first in range(0, max(len(self.x), 1), self.size):
            part = slice(first, first + self.size)
            z = linear(self.x[part], self.weight, self.bias)
            if self.softcap is None:
                yield part, z, None
            else:
                tanh = z.div_(self.softcap).tanh_()
                yield part, tanh * self.softcap, tanh


class Gradients:
    """The sums over the chunks of dx = d W, dW = d^T x and db, for the gradients d of the chunks' logits."""

    def __init__(self, chunks: Chunks, needs: tuple[bool, ...]):
        self.chunks = chunks
        need_x, need_weight, need_bias = needs
        self.dx = torch.empty_like(chunks.x, memory_format=torch.contiguous_format) if need_x else None
        self.dweight = chunks.weight.new_zeros(chunks.weight.shape) if need_weight else None
        self.dbias = chunks.weight.new_zeros(len(chunks.weight), dtype=torch.float64) if need_bias else None

    def add(self, part: slice, tanh: Tensor | None, d: Tensor) -> None:
        """d is the gradient of the logits after softcap: tanh' = 1 - tanh^2."""
        chunks = self.chunks
        if tanh is not None:
            torch.ops.aten.tanh_backward.grad_input(d, tanh, grad_input=d)
        if self.dx is not None:
            self.dx[part] = matmul(d, chunks.weight)
        if self.dweight is not None:
            for few in range(0, d.shape[1], SLICE):
                self.dweight[few : few + SLICE] += matmul(d[:, few : few + SLICE].mT, chunks.x[part])
        if self.dbias is not None:
            self.dbias += d.sum(0)

    def results(self) -> list[Tensor | None]:
        return [self.dx, self.dweight, None if self.dbias is None else self.dbias.to(self.chunks.dtype)]


def plain(loss, softcap, single, x, weight, bias, *rest) -> tuple[Tensor, ...]:
    """What `InChunks` returns, in differentiable PyTorch operations that make all logits."""
    wide = torch.promote_types(x.dtype, torch.float32)
    z = torch.nn.functional.linear(x.to(wide), weight.to(wide), None if bias is None else bias.to(wide))
    values, statistics, _ = loss.plain().forward(softcapped(z, softcap), *rest)
    return ((values.sum() if single else values).to(wide), *statistics)


def _full_precision(x: Tensor) -> contextlib.AbstractContextManager:
    """Without autocast, where it is on."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext()


def run(loss, softcap, single, x, weight, bias, *rest) -> tuple[Tensor, ...]:
    """`InChunks`, or where only plain operations compose, `plain`; without autocast, as torch's losses."""
    whole_logits = recording() or backends.current() == backends.TORCH
    constant = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in rest)
    with _full_precision(x):
        rows = plain if whole_logits or constant or unknown((x, weight, bias, *rest)) else InChunks.apply
        return rows(loss, softcap, single, x, weight, bias, *rest)


def token_loss(
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    z_loss: float,
    softcap: float | None,
    token_weight: Tensor | None,
    statistics: dict[str, Tensor] | None,
) -> Tensor:
    """linear_cross_entropy of rows with the options that torch's lacks; () or (N,) in float32 or wider."""
    wide = torch.promote_types(x.dtype, torch.float32)
    weight = None if weight is None else weight.to(wide)
    target = target.to(wide) if target.is_floating_point() else target
    counts = torch.ones(len(x), dtype=torch.bool, device=x.device) if target.dim() == 2 else target != options.ignore_index
    share = z_share = counts.double() if token_weight is None else torch.where(counts, token_weight.double(), 0.0)
    single = REDUCTIONS[options.reduction] != "none"
    if REDUCTIONS[options.reduction] == "mean":
        own = share if weight is None or target.dim() == 2 else share * weight.double()[target.where(counts, 0)]
        share, z_share = share / total(own), torch.where(counts, share / total(share), 0.0)
    kernel = OPERATORS["cross_entropy"].kernel(x.device.type, wide) or Formula
    loss = TokenLoss(kernel, options._replace(reduction=REDUCTIONS.index("none")), float(z_loss), statistics is not None)
    value, *seen = run(loss, softcap, single, x, linear_weight, linear_bias, target, share, z_share, weight)
    if not len(x) and REDUCTIONS[options.reduction] == "mean":
        value = value + torch.nan  # 0 / 0, as torch's
    if statistics is not None:
        uncertain, lse, prediction = seen
        statistics.update(entropy=uncertain, logsumexp=lse.to(wide), prediction=prediction)
    return value

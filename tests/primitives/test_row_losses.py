"""Losses of hidden states by chunks of rows: what linear_cross_entropy has beyond torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import TRITON, assert_as_accurate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import scratchnet
from scratchnet import nn
from scratchnet.functions.cross_entropy import linear_cross_entropy
from scratchnet.functions.row_losses import Chunks
from scratchnet.ops import REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LINEAR_CROSS_ENTROPY, LossOptions
from scratchnet.oracle import cross_entropy as oracle

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
BACKENDS = (None, "cpp", "cpp:1", "reference", "numpy")
ROWS = ({"z_loss": 0.1}, {"softcap": 2.0}, {"token_weight": True}, {"z_loss": 0.01, "softcap": 3.0, "token_weight": True})
USUAL = ({}, {"weight": True, "label_smoothing": 0.1}, {"ignore_index": 3}, {"probabilities": True})
every_backend = pytest.mark.parametrize("backend", BACKENDS, ids=str)
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def problem(n, k, c, dtype=torch.float64, bias=True, **options):
    """x, W, b, target and options of a call; `n` above 256 is several chunks."""
    generator = torch.Generator().manual_seed(7)
    number = lambda *shape: torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)
    x, w, b = number(n, k), number(c, k), number(c) if bias else None
    target = torch.randint(c, (n,), generator=generator)
    if options.pop("probabilities", False):
        target = torch.rand(n, c, dtype=torch.float64, generator=generator).to(dtype)
    for name, size in (("weight", c), ("token_weight", n)):
        if name in options:
            options[name] = torch.rand(size, dtype=torch.float64, generator=generator).to(dtype)
    return (x, w, b), target, options


def exact(inputs, target, grad, *, reduction, weight=None, ignore_index=-100, label_smoothing=0.0, **rows):
    """The loss and dx, dW, db in float64 NumPy, by the derivatives in row_losses.py."""
    x, w, b = (None if t is None else t.double().numpy() for t in inputs)
    z_loss, cap = rows.get("z_loss", 0.0), rows.get("softcap")
    logits = x @ w.T + (0.0 if b is None else b)
    z = logits if cap is None else cap * np.tanh(logits / cap)
    probabilities = target.is_floating_point()
    counts = np.ones(len(x), bool) if probabilities else target.numpy() != ignore_index
    tokens = np.where(counts, rows["token_weight"].double().numpy() if "token_weight" in rows else 1.0, 0.0)
    weight = None if weight is None else weight.double().numpy()
    share, z_share = tokens, tokens
    if reduction == "mean":
        own = tokens if weight is None or probabilities else tokens * weight[np.where(counts, target.numpy(), 0)]
        share, z_share = tokens / own.sum(), tokens / tokens.sum()
    options = LossOptions(REDUCTIONS.index("none"), ignore_index, label_smoothing)
    to = (target.double() if probabilities else target).numpy()[..., None]
    loss, lse, total = oracle.cross_entropy_forward(z[..., None], to, weight, options)
    values = share * loss[:, 0] + z_loss * z_share * lse[:, 0] ** 2
    grad = grad.double().numpy() * np.ones(len(x))
    d = oracle.cross_entropy_backward((grad * share)[:, None], z[..., None], to, weight, lse, total, options)[..., 0]
    d = d + (2 * z_loss * grad * z_share * lse[:, 0])[:, None] * oracle.softmax_forward(z, DimOptions(1))
    if cap is not None:
        d = d * (1 - np.tanh(logits / cap) ** 2)
    loss = values if reduction == "none" else values.sum()
    return [torch.as_tensor(t) for t in (loss, d @ w, d.T @ x, *([] if b is None else [d.sum(0)]))]


def with_gradients(function, inputs, target, grad, **options):
    """The loss, then dx, dW and db, of a call without its None."""
    leaves = [t.clone().requires_grad_() for t in inputs if t is not None]
    bias = {"linear_bias": leaves[2]} if len(leaves) > 2 else {}
    loss = function(leaves[0], leaves[1], target, **bias, **options)
    return [loss.detach(), *torch.autograd.grad(loss, leaves, grad.expand_as(loss).to(loss.dtype))]


@every_reduction
@pytest.mark.parametrize("rows", ROWS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_against_the_oracle(dtype, rows, reduction):
    """Values and gradients of three chunks, for an incoming gradient that is not 1: as accurate as torch's own operations."""
    for usual in USUAL:
        inputs, target, options = problem(600, 7, 11, dtype, **usual, **rows)
        grad = torch.linspace(-1, 2, 600, dtype=torch.float64) if reduction == "none" else torch.tensor(3.0)
        with scratchnet.backend("cpp"):
            ours = with_gradients(linear_cross_entropy, inputs, target, grad, reduction=reduction, **options)
        own = with_gradients(LINEAR_CROSS_ENTROPY.torch, inputs, target, grad, reduction=reduction, **options)
        wanted = exact(inputs, target, grad.to(dtype), reduction=reduction, **options)
        for mine, theirs, want in zip(ours, own, wanted, strict=True):
            assert_as_accurate(mine, theirs, want)


@pytest.mark.parametrize("backend", (*BACKENDS, TRITON), ids=str)
@every_reduction
def test_every_backend(reduction, backend):
    inputs, target, options = problem(9, 4, 5, bias=False, **ROWS[-1], ignore_index=3)
    grad = torch.linspace(-1, 2, 9, dtype=torch.float64) if reduction == "none" else torch.tensor(3.0)
    with scratchnet.backend(backend):
        ours = with_gradients(linear_cross_entropy, inputs, target, grad, reduction=reduction, **options)
    torch.testing.assert_close(ours, exact(inputs, target, grad, reduction=reduction, **options), rtol=1e-9, atol=1e-11)


@every_backend
def test_strides_and_one_gradient_at_a_time(backend):
    inputs, target, options = problem(300, 6, 7, **ROWS[-1])
    wanted = exact(inputs, target, torch.tensor(1.0), reduction="mean", **options)
    laid_out = [t.mT.contiguous().mT if t.dim() == 2 else torch.stack((t, t), 1)[:, 0] for t in inputs]
    target, options["token_weight"] = target.repeat_interleave(2)[::2], options["token_weight"].repeat_interleave(2)[::2]
    for k in range(3):
        leaves = [t.clone().requires_grad_(i == k) for i, t in enumerate(laid_out)]
        with scratchnet.backend(backend):
            loss = linear_cross_entropy(leaves[0], leaves[1], target, linear_bias=leaves[2], **options)
            loss.backward()  # stride 0
        torch.testing.assert_close(leaves[k].grad, wanted[1 + k], rtol=1e-9, atol=1e-12)
        assert all(leaf.grad is None for i, leaf in enumerate(leaves) if i != k)


@every_backend
@every_reduction
def test_rows_that_do_not_count_add_nothing_whatever_they_hold(reduction, backend):
    inputs, target, options = problem(5, 3, 4, bias=False, z_loss=0.1, softcap=5.0)
    target[1], inputs[0][1] = -100, torch.inf
    clean = [inputs[0][[0, 2, 3, 4]], inputs[1]], target[[0, 2, 3, 4]]
    with scratchnet.backend(backend):
        loss = linear_cross_entropy(inputs[0], inputs[1], target, reduction=reduction, **options)
        wanted = linear_cross_entropy(*clean[0], clean[1], reduction=reduction, **options)
    torch.testing.assert_close(loss[[0, 2, 3, 4]] if reduction == "none" else loss, wanted)
    assert reduction != "none" or loss[1] == 0


@every_backend
def test_no_row_counts(backend):
    """The mean of nothing is NaN, as torch's, and its gradient 0; no rows at all likewise."""
    x, w = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    for rows in (3, 0):
        with scratchnet.backend(backend):
            loss = linear_cross_entropy(x[:rows], w, torch.full((rows,), -100), z_loss=0.1, statistics={})
        assert loss.isnan()
        if backend:  # torch's own gradient of 0 / 0 rows is NaN
            gradients = torch.autograd.grad(loss, (x, w))
            assert all(not g.any() for g in gradients)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_large_logits(dtype):
    """Far beyond the cap the loss is that of the cap and nothing flows back; without it, logsumexp is the largest logit."""
    x, w = torch.tensor([[3e4], [-3e4]], dtype=dtype, requires_grad=True), torch.tensor([[1.0], [-1.0]], dtype=dtype)
    target = torch.tensor([0, 0])
    with scratchnet.backend("cpp"):
        capped = linear_cross_entropy(x, w, target, softcap=10.0, reduction="none")
        plain = linear_cross_entropy(x.float(), w.float(), torch.tensor([0, 1]), z_loss=1e-4, reduction="none")
    expected = torch.tensor([0.0, 20.0], dtype=torch.float64)  # both + log(1 + e^-20), which is 2e-9: nothing beside 20
    torch.testing.assert_close(capped.double(), expected, rtol=1e-6, atol=1e-8)
    assert not torch.autograd.grad(capped.sum(), x)[0].any()
    torch.testing.assert_close(plain, x.detach().float()[:, 0].square() * 1e-4)


@every_backend
def test_statistics(backend):
    """Entropy, logsumexp and prediction of every row, in a dict, at no gradient; the loss is the same with them."""
    (x, w, b), target, _ = problem(300, 6, 7, torch.float32)
    w.requires_grad_()
    logits = 3 * torch.tanh((x @ w.detach().T + b) / 3)
    seen = {}
    with scratchnet.backend(backend):
        loss = linear_cross_entropy(x, w, target, linear_bias=b, softcap=3.0, statistics=seen)
        same = linear_cross_entropy(x, w, target, linear_bias=b, softcap=3.0)
    torch.testing.assert_close(loss, same)
    assert list(seen) == ["entropy", "logsumexp", "prediction"] and not any(t.requires_grad for t in seen.values())
    p = logits.softmax(1)
    torch.testing.assert_close(seen["entropy"], -(p * p.log()).sum(1))
    torch.testing.assert_close(seen["logsumexp"], logits.logsumexp(1))
    assert torch.equal(seen["prediction"], logits.argmax(1))
    assert (seen["prediction"] == target).sum() == (logits.argmax(1) == target).sum() > 0
    torch.autograd.grad(loss, w)
    with scratchnet.backend(backend):
        alone = {}
        one = linear_cross_entropy(x[0], w, target[0], linear_bias=b, softcap=3.0, reduction="none", statistics=alone)
    assert one.shape == alone["entropy"].shape == () and alone["prediction"] == seen["prediction"][0]


def test_impossible_classes_have_no_entropy():
    seen, bias = {}, torch.tensor([0.0, -torch.inf, 0.0])
    with scratchnet.backend("cpp"):
        linear_cross_entropy(torch.zeros(1, 2), torch.zeros(3, 2), torch.tensor([0]), linear_bias=bias, statistics=seen)
    torch.testing.assert_close(seen["entropy"], torch.tensor([2.0]).log())


class Largest(TorchDispatchMode):
    """The largest number of elements that a tensor had."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        sizes = [t.untyped_storage().nbytes() // t.element_size() for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return result


@every_reduction
def test_the_logits_are_never_in_memory(reduction):
    (x, w, _), target, options = problem(2048, 4, 100, torch.float32, **ROWS[-1])
    x.requires_grad_(), w.requires_grad_()
    with scratchnet.backend("cpp"), Largest() as largest:
        linear_cross_entropy(x, w, target, reduction=reduction, statistics={}, **options).sum().backward()
    assert 0 < largest.elements <= 256 * 100  # a chunk


@pytest.mark.parametrize("reduction", ("mean", "none"))
def test_the_gradients_of_one_loss_are_made_with_its_logits(reduction, monkeypatch):
    """The first backward scales them, a second one makes them again, and both are right."""
    inputs, target, options = problem(300, 6, 7, **ROWS[-1])
    chunks, made = Chunks.__iter__, []
    monkeypatch.setattr(Chunks, "__iter__", lambda self: made.append("logits") or chunks(self))
    leaves = [t.requires_grad_() for t in inputs]
    with scratchnet.backend("cpp"):
        loss = linear_cross_entropy(leaves[0], leaves[1], target, linear_bias=leaves[2], reduction=reduction, **options)
    first = torch.autograd.grad(3 * loss.sum(), leaves, retain_graph=True)
    assert len(made) == (1 if reduction == "mean" else 2)
    second = torch.autograd.grad(3 * loss.sum(), leaves)
    assert len(made) == (2 if reduction == "mean" else 3)
    wanted = exact([t.detach() for t in inputs], target, torch.tensor(3.0), reduction=reduction, **options)[1:]
    for gradients in (first, second):
        torch.testing.assert_close([*gradients], wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("backend", (None, "cpp"), ids=str)
def test_classes_in_8_bits(backend):
    """Of more classes than 8 bits have: what -100 and 280 are in 8 bits are classes like all others."""
    inputs, target, _ = problem(4, 3, 280, bias=False)
    target[:3] = torch.tensor([156, 24, 255])
    target[3] %= 256
    for options in ({"z_loss": 0.1}, {"ignore_index": 279}, {"ignore_index": 279, "softcap": 2.0}):
        with scratchnet.backend(backend):
            few, wide = (linear_cross_entropy(*inputs[:2], t, **options) for t in (target.to(torch.uint8), target))
        torch.testing.assert_close(few, wide, rtol=1e-12, atol=0)


@every_reduction
def test_the_same_bits_on_any_number_of_threads(reduction):
    inputs, target, options = problem(600, 33, 5000, torch.float32, **ROWS[-1])
    grad, threads, results = (
        torch.linspace(-1, 2, 600) if reduction == "none" else torch.tensor(3.0),
        torch.get_num_threads(),
        [],
    )
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            with scratchnet.backend("cpp"):
                results.append(with_gradients(linear_cross_entropy, inputs, target, grad, reduction=reduction, **options))
    finally:
        torch.set_num_threads(threads)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("reduction", ("mean", "none"))
def test_transforms(reduction):
    """Second derivatives, torch.func, torch.compile, autocast, and a gradient of the token weights."""
    (x, w, b), target, options = problem(5, 3, 4, **ROWS[-1])
    tokens = options.pop("token_weight").requires_grad_()
    inputs = [t.requires_grad_() for t in (x, w, b)]

    def loss(x, w, b, tokens=None):
        return linear_cross_entropy(x, w, target, linear_bias=b, token_weight=tokens, reduction=reduction, **options)

    with scratchnet.backend("cpp"):
        assert torch.autograd.gradcheck(loss, inputs, check_batched_grad=True)
        assert torch.autograd.gradcheck(loss, (*inputs, tokens)) and torch.autograd.gradgradcheck(loss, inputs)
        (wanted,) = torch.autograd.grad(loss(*inputs).sum(), x)
        torch.testing.assert_close(torch.func.grad(lambda x: loss(x, w, b).sum())(x), wanted)
        rows = torch.func.vmap(lambda x: loss(x, w, b))(torch.stack((x, 2 * x)).detach())
        torch.testing.assert_close(rows, torch.stack((loss(*inputs), loss(2 * x, w, b))))
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(*inputs), loss(*inputs))
        torch.testing.assert_close(torch.autograd.grad(compiled(*inputs).sum(), x)[0], wanted)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = linear_cross_entropy(x.float(), w.bfloat16(), target, reduction=reduction, **options)
            (grad,) = torch.autograd.grad(mixed.sum(), x)
        assert mixed.dtype == torch.float32 and grad.isfinite().all()


def test_the_layer_has_them():
    layer = nn.LinearCrossEntropyLoss(6, 7)
    layer.z_loss, layer.softcap = 0.1, 3.0
    x, target = torch.randn(5, 6), torch.randint(7, (5,))
    torch.testing.assert_close(layer(x, target), linear_cross_entropy(x, layer.linear.weight, target, z_loss=0.1, softcap=3.0))
    assert repr(layer).endswith("z_loss=0.1, softcap=3.0\n  (linear): Linear(in_features=6, out_features=7, bias=False)\n)")

"""Distillation and DPO from hidden states: against float64 NumPy, and against torch's operations on whole logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases import TRITON, assert_as_accurate
from torch.nn import functional as TF

import scratchnet
from scratchnet.nn import functional as F
from scratchnet.ops import REDUCTIONS

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
BACKENDS = (None, "cpp", "cpp:1", "reference", "numpy", TRITON)
BETAS = (0.0, 0.3, 1.0)
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def numbers(*shapes, dtype=torch.float64, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype) for shape in shapes]


def log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def exact_distillation(student, teacher, beta, temperature, tokens, reduction, grad):
    """The loss and dx, dW, db in float64 NumPy; dp goes through the softmax, dz = p (dp - sum p dp) / temperature."""
    (x, w, b), (tx, tw, tb) = ([t.double().numpy() for t in head] for head in (student, teacher))
    log_p, log_q = (log_softmax((x @ w.T + b) / temperature) for x, w, b in ((x, w, b), (tx, tw, tb)))
    p, q = np.exp(log_p), np.exp(log_q)
    if beta == 0:
        rows, dp = (q * (log_q - log_p)).sum(1), -q / p
    elif beta == 1:
        rows, dp = (p * (log_p - log_q)).sum(1), log_p - log_q + 1
    else:
        log_m = np.log(beta * q + (1 - beta) * p)
        rows = beta * (q * (log_q - log_m)).sum(1) + (1 - beta) * (p * (log_p - log_m)).sum(1)
        dp = (1 - beta) * (log_p - log_m)
    share = tokens.double().numpy()
    share = share / share.sum() if reduction == "mean" else share
    d = p * (dp - (p * dp).sum(1, keepdims=True)) / temperature * (grad.double().numpy() * share)[:, None]
    loss = share * rows
    return [torch.as_tensor(t) for t in (loss if reduction == "none" else loss.sum(), d @ w, d.T @ x, d.sum(0))]


def own_distillation(x, w, tx, tw, *, linear_bias, teacher_bias, beta, temperature, token_weight, reduction):
    """TRL's generalized_jsd_loss, in torch's own operations on whole logits."""
    log_p = (TF.linear(x, w, linear_bias) / temperature).log_softmax(-1)
    log_q = (TF.linear(tx, tw, teacher_bias) / temperature).log_softmax(-1)
    if beta in (0, 1):
        rows = TF.kl_div(*((log_p, log_q) if beta == 0 else (log_q, log_p)), reduction="none", log_target=True).sum(-1)
    else:
        log_m = torch.logsumexp(torch.stack((log_p + math.log(1 - beta), log_q + math.log(beta))), 0)
        parts = (TF.kl_div(log_m, t, reduction="none", log_target=True).sum(-1) for t in (log_q, log_p))
        rows = beta * next(parts) + (1 - beta) * next(parts)
    loss = token_weight * rows
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.sum() / token_weight.sum()


def heads(n, c, dtype=torch.float64):
    student, teacher = numbers((n, 7), (c, 7), (c,), dtype=dtype), numbers((n, 5), (c, 5), (c,), dtype=dtype, seed=4)
    tokens = torch.arange(n, dtype=torch.float64).cos().square().to(dtype)
    tokens[1] = 0
    return student, teacher, tokens


def distilled(function, student, teacher, grad, **options):
    leaves = [t.clone().requires_grad_() for t in student]
    biases = {"linear_bias": leaves[2], "teacher_bias": teacher[2]}
    loss = function(leaves[0], leaves[1], *teacher[:2], **biases, **options)
    return [loss.detach(), *torch.autograd.grad(loss, leaves, grad.expand_as(loss).to(loss.dtype))]


@every_reduction
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_distillation_against_the_oracle(dtype, beta, reduction):
    """Three chunks, a temperature, weights of the tokens and any incoming gradient: as accurate as torch's operations."""
    student, teacher, tokens = heads(600, 11, dtype)
    grad = torch.linspace(-1, 2, 600).to(dtype) if reduction == "none" else torch.tensor(3.0)
    options = {"beta": beta, "temperature": 2.0, "token_weight": tokens, "reduction": reduction}
    with scratchnet.backend("cpp"):
        ours = distilled(F.linear_distillation, student, teacher, grad, **options)
    own = distilled(own_distillation, student, teacher, grad, **options)
    for mine, theirs, want in zip(
        ours, own, exact_distillation(student, teacher, beta, 2.0, tokens, reduction, grad), strict=True
    ):
        assert_as_accurate(mine, theirs, want)


@pytest.mark.parametrize("backend", (*BACKENDS, "torch"), ids=str)
@pytest.mark.parametrize("beta", BETAS)
def test_distillation_on_every_backend(beta, backend):
    student, teacher, tokens = heads(6, 5)
    options = {"beta": beta, "temperature": 0.7, "token_weight": tokens.reshape(2, 3)}
    in_batches = lambda x, *rest, **options: F.linear_distillation(
        x.reshape(2, 3, 7), rest[0], rest[1].reshape(2, 3, 5), rest[2], **options
    )
    with scratchnet.backend(backend):
        ours = distilled(in_batches, student, teacher, torch.tensor(3.0), **options)
    wanted = exact_distillation(student, teacher, beta, 0.7, tokens, "mean", torch.tensor(3.0))
    torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-11)


def test_distillation_of_a_vocabulary_in_16_bits():
    """130 rows are three chunks of them."""
    (x, w), (tx, tw) = numbers((130, 64), (50257, 64), dtype=torch.bfloat16), numbers((130, 32), (50257, 32), seed=4)
    w, tw = w / 8, (tw / 6).float()
    x.requires_grad_(), w.requires_grad_()
    exact = [t.detach().double().requires_grad_() for t in (x, w)]
    options = {"linear_bias": None, "teacher_bias": None, "beta": 0.5, "temperature": 1.0, "reduction": "mean"}
    wanted = own_distillation(*exact, tx, tw.double(), token_weight=torch.ones(130), **options)
    with scratchnet.backend("cpp"):
        loss = F.linear_distillation(x, w, tx.half(), tw, beta=0.5)
    gradients = torch.autograd.grad(loss, (x, w))
    assert loss.dtype == torch.bfloat16 and abs(loss.item() / wanted.item() - 1) < 2**-8
    for mine, want in zip(gradients, torch.autograd.grad(wanted, exact), strict=True):
        error = (mine.double() - want).abs()
        assert mine.dtype == torch.bfloat16 and (error <= 2**-8 * want.abs() + 2e-3 * want.abs().max()).all()


@pytest.mark.parametrize("beta", BETAS)
def test_a_teacher_is_constant_and_a_student_like_it_learns_nothing(beta):
    (x, w, b), *_ = heads(9, 5)
    student, teacher = ([t.clone().requires_grad_() for t in (x, w, b)] for _ in range(2))
    loss = F.linear_distillation(*student[:2], *teacher[:2], linear_bias=student[2], teacher_bias=teacher[2], beta=beta)
    loss.backward()
    assert abs(loss.item()) < 1e-15
    assert all(t.grad.abs().max() < 1e-15 for t in student) and all(t.grad is None for t in teacher)


@pytest.mark.parametrize("beta", BETAS)
def test_classes_that_are_impossible_for_both(beta):
    """As the padding of a vocabulary, whose bias is -inf: they add nothing, and nothing flows back to them."""
    (x, w, b), (tx, tw, tb), _ = heads(9, 5)
    fewer = F.linear_distillation(x, w[:4], tx, tw[:4], linear_bias=b[:4], teacher_bias=tb[:4], beta=beta)
    b[4] = tb[4] = -torch.inf
    w.requires_grad_()
    loss = F.linear_distillation(x, w, tx, tw, linear_bias=b, teacher_bias=tb, beta=beta)
    torch.testing.assert_close(loss.detach(), fewer)
    (grad,) = torch.autograd.grad(loss, w)
    assert grad.isfinite().all() and not grad[4].any() and grad[:4].any()


def test_transforms_of_distillation():
    student, teacher, tokens = heads(4, 5)
    leaves = [t.requires_grad_() for t in student]
    for beta in BETAS:

        def loss(x, w, b, beta=beta):
            options = {"linear_bias": b, "teacher_bias": teacher[2], "beta": beta, "token_weight": tokens}
            return F.linear_distillation(x, w, *teacher[:2], **options)

        with scratchnet.backend("cpp"):
            assert torch.autograd.gradcheck(loss, leaves) and torch.autograd.gradgradcheck(loss, leaves)
            (wanted,) = torch.autograd.grad(loss(*leaves), leaves[0])
            torch.testing.assert_close(torch.func.grad(loss)(*leaves), wanted)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*leaves), loss(*leaves))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = F.linear_distillation(student[0].float(), student[1].bfloat16(), *teacher[:2])
    assert mixed.dtype == torch.float32


def test_no_rows_to_distil():
    (x, w, _), (tx, tw, _), _ = heads(3, 5)
    assert F.linear_distillation(x[:0], w, tx[:0], tw).isnan()
    assert F.linear_distillation(x[:0], w, tx[:0], tw, reduction="none").shape == (0,)
    assert F.linear_distillation(x, w, tx, tw, token_weight=torch.zeros(3)).isnan()


# ---- sequences and preferences -----------------------------------------------------------------------------------------


def pairs(dtype=torch.float64):
    """Two pairs of sequences of three tokens, of which some do not count, and a head."""
    x, w, b = numbers((4, 3, 6), (7, 6), (7,), dtype=dtype)
    target = torch.tensor([[-100, 2, 3], [1, 2, -100], [-100, -100, 0], [6, 5, 4]])
    return x, w, b, target


@pytest.mark.parametrize("softcap", (None, 2.0))
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_sequence_log_prob(backend, dtype, softcap):
    *inputs, target = pairs(dtype)
    leaves, exact = ([t.to(to).requires_grad_() for t in inputs] for to in (dtype, torch.float64))
    z = exact[0].detach() @ exact[1].detach().mT + exact[2].detach()
    z = torch.tensor(z.numpy() if softcap is None else softcap * np.tanh(z.numpy() / softcap))
    log_p = torch.tensor(log_softmax(z.numpy()))
    wanted = torch.where(target >= 0, log_p.gather(2, target.clamp(min=0).unsqueeze(2)).squeeze(2), 0).sum(1)
    with scratchnet.backend(backend):
        ours = F.linear_sequence_log_prob(leaves[0], leaves[1], target, linear_bias=leaves[2], softcap=softcap)
    assert ours.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(ours.double(), wanted, rtol=1e-6, atol=1e-6)
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0])
    logits = exact[0] @ exact[1].mT + exact[2]
    logits = logits if softcap is None else softcap * torch.tanh(logits / softcap)
    rows = TF.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").reshape(4, 3)
    mine = torch.autograd.grad((weights * ours).sum(), leaves)
    for gradient, want in zip(mine, torch.autograd.grad((-weights * rows.sum(1)).sum(), exact), strict=True):
        bound = 2 * torch.finfo(dtype).eps * want.abs().max() + 1e-6 * (dtype != torch.float64)
        assert gradient.dtype == dtype and (gradient.double() - want).abs().max() <= bound + 1e-12


@every_reduction
def test_dpo(reduction):
    """-log sigmoid of the margin of the rewards, through hidden states and head; the reference learns nothing."""
    x, w, b, target = pairs()
    policy, reference = ([t.clone().requires_grad_() for t in numbers((4, 3, 6), (7, 6), seed=s)] for s in (1, 2))
    log_p, ref = (F.linear_sequence_log_prob(*head, target, linear_bias=b) for head in (policy, reference))
    loss = F.dpo_loss(*log_p.chunk(2), *ref.chunk(2), beta=0.3, reduction=reduction)
    c, r, rc, rr = (t.detach().numpy() for t in (*log_p.chunk(2), *ref.chunk(2)))
    margin = 0.3 * ((c - rc) - (r - rr))
    rows = np.log1p(np.exp(-margin))
    wanted = {"none": rows, "mean": rows.mean(), "sum": rows.sum()}[reduction]
    torch.testing.assert_close(loss.detach(), torch.as_tensor(wanted))
    slope = -0.3 / (1 + np.exp(margin)) / (2 if reduction == "mean" else 1)
    grad_chosen, grad_rejected = torch.autograd.grad(loss.sum(), [log_p], retain_graph=True)[0].chunk(2)
    torch.testing.assert_close(grad_chosen, torch.as_tensor(slope))
    torch.testing.assert_close(grad_rejected, torch.as_tensor(-slope))
    loss.sum().backward()
    assert policy[1].grad.any() and all(t.grad is None for t in reference)


def test_dpo_of_far_apart_sequences_is_finite():
    far = torch.tensor([-1e5, 1e5], requires_grad=True)
    loss = F.dpo_loss(far, -far, torch.zeros(2), torch.zeros(2), reduction="none")
    torch.testing.assert_close(loss.detach(), torch.tensor([2e4, 0.0]))
    assert torch.equal(torch.autograd.grad(loss.sum(), far)[0], torch.tensor([-0.2, 0.0]))

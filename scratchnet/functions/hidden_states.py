"""Losses of hidden states beyond cross-entropy, the logits a few rows at a time: distillation, and preferences (DPO)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from scratchnet.functions.checks import is_float
from scratchnet.functions.cross_entropy import linear_cross_entropy, log_softmax
from scratchnet.functions.explain import hidden_states as explain
from scratchnet.functions.matmul import linear
from scratchnet.functions.row_losses import run, total
from scratchnet.ops import REDUCTIONS


class Divergence(NamedTuple):
    """share * D(q, p) of each row, p = softmax(z / temperature) the student's, q the teacher's, m = beta q + (1 - beta) p.

    beta 0: KL(q, p) = sum q log(q / p)          dz = p - q
    beta 1: KL(p, q) = sum p r, r = log(p / q)   dz = p (r - KL(p, q))
    else:   beta KL(q, m) + (1 - beta) KL(p, m)  dz = (1 - beta) p (r - KL(p, m)), r = log(p / m)

    each times share / temperature: what m changes by cancels, because m sums to 1 whatever p is.
    """

    beta: float
    temperature: float
    whole = 2  # inputs that belong to all rows: the teacher's head
    tensors = 8  # of the size of the logits that are to fit into a chunk's memory

    def plain(self) -> Divergence:
        return self

    def forward(self, z, share, teacher, teacher_weight, teacher_bias):  # (n, C); (n), (n, K'); (C, K'), (C) or None
        t = linear(teacher, teacher_weight, teacher_bias)
        log_p, log_q = (log_softmax(y if self.temperature == 1 else y / self.temperature, 1) for y in (z, t))
        if self.beta == 0:
            return share * _mean(log_q, log_q - log_p), (), (log_p, log_q)
        if self.beta == 1:
            r, others = log_p - log_q, 0.0
        else:
            log_m = torch.logaddexp(log_q + math.log(self.beta), log_p + math.log1p(-self.beta))
            r, others = log_p - log_m, self.beta * _mean(log_q, log_q - log_m)
        own = _mean(log_p, r)
        return share * (others + (1 - self.beta if self.beta < 1 else 1) * own), (), (log_p, r, own)

    def backward(self, grad, z, saved, share, *teacher):
        scale = (grad * share / self.temperature).to(z.dtype).unsqueeze(1)
        if self.beta == 0:
            log_p, log_q = saved
            return log_p.exp_().sub_(log_q.exp_()).mul_(scale)
        log_p, r, own = saved
        r.masked_fill_(log_p == -torch.inf, 0)
        return r.sub_(own.unsqueeze(1)).mul_(log_p.exp_()).mul_(scale * (1 - self.beta if self.beta < 1 else 1))


def _mean(log_p: Tensor, x: Tensor) -> Tensor:
    """sum p x of each row (N, C), where 0 times anything is 0."""
    return (log_p.exp() * x.masked_fill(log_p == -torch.inf, 0)).sum(1)


def linear_distillation(
    input: Tensor,
    linear_weight: Tensor,
    teacher_input: Tensor,
    teacher_weight: Tensor,
    *,
    linear_bias: Tensor | None = None,
    teacher_bias: Tensor | None = None,
    beta: float = 0.0,
    temperature: float = 1.0,
    token_weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How far a student's next-token probabilities p are from its teacher's q, both from hidden states, a few rows at a time.

    input (..., K) with linear_weight (C, K) and linear_bias (C,), of one floating dtype, are the student's; teacher_input
    (..., K') with teacher_weight (C, K') and teacher_bias (C,) the teacher's, of any, and constants. Probabilities are those of
    logits / temperature; multiply by temperature ** 2 for Hinton's scale. beta 0: KL(q, p) = sum q log(q / p); 1: KL(p, q);
    between them the Jensen-Shannon divergence beta KL(q, m) + (1 - beta) KL(p, m) with m = beta q + (1 - beta) p, as in TRL.
    token_weight (...) multiplies the rows, 0 leaves one out; the mean divides by its sum. In input's dtype: () or (...).
    RuntimeError if shapes, dtypes or devices do not fit, ValueError for a beta, temperature or reduction that does not exist.
    Hinton et al., https://arxiv.org/abs/1503.02531; Agarwal et al., https://arxiv.org/abs/2306.13649.
    """
    heads = (input, linear_weight, linear_bias), (teacher_input, teacher_weight, teacher_bias)
    if not (
        all(_makes_logits(*head) for head in heads)
        and (linear_weight.dtype is input.dtype or torch.is_autocast_enabled(input.device.type))
        and (linear_bias is None or linear_bias.dtype is linear_weight.dtype)
        and teacher_input.shape[:-1] == input.shape[:-1]
        and teacher_input.device == input.device
        and teacher_weight.shape[0] == linear_weight.shape[0]
        and isinstance(beta, (int, float))
        and 0 <= beta <= 1
        and isinstance(temperature, (int, float))
        and temperature > 0
        and reduction in REDUCTIONS
        and (token_weight is None or is_float(token_weight) and token_weight.shape == input.shape[:-1])
        and (token_weight is None or token_weight.device == input.device)
    ):
        explain.linear_distillation(heads, beta, temperature, token_weight, reduction)
    wide = torch.promote_types(input.dtype, torch.float32)
    x = _rows(input)
    share = torch.ones(len(x), dtype=torch.float64, device=x.device)
    if token_weight is not None:
        share = token_weight.reshape(-1).double()
    if reduction == "mean":
        share = share / total(share)
    teacher = [None if t is None else t.detach().to(wide) for t in heads[1]]
    teacher[0] = _rows(teacher[0])
    loss = Divergence(float(beta), float(temperature))
    value = run(loss, None, reduction != "none", x, linear_weight, linear_bias, share, *teacher)[0]
    if reduction == "mean" and not len(x):
        value = value + torch.nan  # 0 / 0
    value = value if torch.is_autocast_enabled(x.device.type) else value.to(input.dtype)
    return value.reshape(input.shape[:-1]) if reduction == "none" else value


def _makes_logits(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    return (
        is_float(input)
        and is_float(weight)
        and input.dim() > 0
        and weight.dim() == 2
        and input.shape[-1] == weight.shape[1]
        and weight.device == input.device
        and (bias is None or is_float(bias) and bias.shape == weight.shape[:1] and bias.device == input.device)
    )


def _rows(x: Tensor) -> Tensor:
    """(..., K) as (N, K), where K may be 0."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def linear_sequence_log_prob(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    softcap: float | None = None,
    ignore_index: int = -100,
) -> Tensor:
    """The log-probability of each sequence of tokens from hidden states: sum_t log softmax(input_t W^T + b)[target_t].

    input (..., T, K), linear_weight (C, K), linear_bias (C,), target (..., T) classes, already the next ones, where
    ignore_index (the prompt, padding) adds nothing. Returns (...) in float32 or wider, because a sum of a thousand numbers has
    more digits than 16 bits. softcap and other errors as in linear_cross_entropy; RuntimeError for another shape of target.
    """
    if not (is_float(input) and input.dim() > 1 and isinstance(target, Tensor) and target.shape == input.shape[:-1]):
        explain.linear_sequence_log_prob(input, target)
    x, w, b = (
        t.to(torch.promote_types(t.dtype, torch.float32)) if is_float(t) else t for t in (input, linear_weight, linear_bias)
    )
    rows, options = target.reshape(-1), {"linear_bias": b, "softcap": softcap, "ignore_index": ignore_index}
    loss = linear_cross_entropy(_rows(x), w, rows, reduction="none", **options)
    return -loss.reshape(target.shape).sum(-1)


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
    reduction: str = "mean",
) -> Tensor:
    """-log sigmoid(beta ((chosen - reference_chosen) - (rejected - reference_rejected))): direct preference optimisation.

    Log-probabilities of sequences, floating-point tensors of one shape, from `linear_sequence_log_prob`; the reference model's
    are constants. beta times a difference is the reward that the model assigns. RuntimeError for other shapes, ValueError for
    a beta that is not positive or an unknown reduction. Rafailov et al., https://arxiv.org/abs/2305.18290.
    """
    tensors = chosen, rejected, reference_chosen, reference_rejected
    if not (
        all(is_float(t) and t.shape == tensors[0].shape and t.device == tensors[0].device for t in tensors)
        and isinstance(beta, (int, float))
        and beta > 0
        and reduction in REDUCTIONS
    ):
        explain.dpo_loss(tensors, beta, reduction)
    margin = beta * ((chosen - reference_chosen.detach()) - (rejected - reference_rejected.detach()))
    loss = -torch.nn.functional.logsigmoid(margin)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()

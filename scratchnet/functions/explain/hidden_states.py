"""Why a call of linear_distillation, linear_sequence_log_prob or dpo_loss is wrong."""

from __future__ import annotations

from typing import Sequence

from torch import Tensor

from scratchnet.functions.checks import check_device, check_dtypes, check_float, check_shape, check_tensor, fail
from scratchnet.ops import REDUCTIONS

_HEADS = ("input", "linear_weight", "linear_bias"), ("teacher_input", "teacher_weight", "teacher_bias")


def linear_distillation(
    heads: Sequence[tuple[Tensor, Tensor, Tensor | None]],
    beta: float,
    temperature: float,
    token_weight: Tensor | None,
    reduction: str,
) -> None:
    name, (student, teacher) = "linear_distillation", heads
    for names, (input, weight, bias) in zip(_HEADS, heads, strict=True):
        for argument, value in zip(names, (input, weight, bias), strict=True):
            if value is None and argument.endswith("bias"):
                continue
            check_float(name, argument, value)
            check_device(name, argument, value, "input", student[0])
        if not input.dim():
            fail(RuntimeError, name, names[0], "a scalar has no features: it needs (..., K)")
        classes = weight.shape[0] if weight.dim() else 0
        check_shape(name, names[1], weight, (classes, input.shape[-1]), f"(C, K) with the features K of {names[0]}")
        if bias is not None:
            check_shape(name, names[2], bias, (classes,), f"a number for each class of {names[1]}")
    for argument, value in zip(_HEADS[0][1:], student[1:], strict=True):
        if value is not None:
            check_dtypes(name, "input", student[0], argument, value)
    rows = *student[0].shape[:-1], teacher[0].shape[-1]
    check_shape(name, "teacher_input", teacher[0], rows, "the rows of input, and features of its own")
    check_shape(name, "teacher_weight", teacher[1], (student[1].shape[0], rows[-1]), "the classes of linear_weight")
    if not isinstance(beta, (int, float)) or not 0 <= beta <= 1:
        fail(ValueError, name, "beta", f"must be from 0, KL(teacher, student), to 1, KL(student, teacher), got {beta!r}")
    if not isinstance(temperature, (int, float)) or not temperature > 0:
        fail(
            ValueError,
            name,
            "temperature",
            f"must be a positive number, got {temperature!r}: 1.0 changes nothing",
        )
    if token_weight is not None:
        check_float(name, "token_weight", token_weight)
        check_device(name, "token_weight", token_weight, "input", student[0])
        check_shape(name, "token_weight", token_weight, student[0].shape[:-1], "a number for each row of input")
    _check_reduction(name, reduction)


def linear_sequence_log_prob(input: Tensor, target: Tensor) -> None:
    name = "linear_sequence_log_prob"
    check_float(name, "input", input)
    if input.dim() < 2:
        fail(RuntimeError, name, "input", f"expected (..., T, K), hidden states of sequences, got {tuple(input.shape)}")
    check_tensor(name, "target", target)
    check_shape(name, "target", target, input.shape[:-1], "a class for each hidden state of input")


def dpo_loss(tensors: Sequence[Tensor], beta: float, reduction: str) -> None:
    names = "chosen", "rejected", "reference_chosen", "reference_rejected"
    for argument, value in zip(names, tensors, strict=True):
        check_float("dpo_loss", argument, value)
        check_device("dpo_loss", argument, value, "chosen", tensors[0])
        check_shape("dpo_loss", argument, value, tensors[0].shape, "a log-probability for each pair, as in chosen")
    if not isinstance(beta, (int, float)) or not beta > 0:
        fail(ValueError, "dpo_loss", "beta", f"must be a positive number, got {beta!r}: 0.1 is usual")
    _check_reduction("dpo_loss", reduction)


def _check_reduction(name: str, reduction: str) -> None:
    if reduction not in REDUCTIONS:
        fail(ValueError, name, "reduction", f"{reduction} is not a valid value for reduction: choose {', '.join(REDUCTIONS)}")

"""What goes wrong in a softmax-cross-entropy."""

from __future__ import annotations

from typing import Callable

import torch.nn.functional as F
from torch import Tensor

from scratchnet.checker.sixteen import STEPS
from scratchnet.measure.verify import Call


def _logits(call: Call) -> tuple[Tensor, Tensor, Tensor]:
    """grad_output / N, softmax and one-hot targets."""
    x, target = (a.detach() for a in call.args)
    return call.upstream[0] / len(x), x.softmax(1), F.one_hot(target, x.shape[1])


def _diagonal(call: Call) -> tuple[Tensor]:
    grad, p, hot = _logits(call)
    return (grad * (p - 1) * hot,)


def _not_shifted(call: Call) -> tuple[Tensor]:
    grad, p, _ = _logits(call)
    return (grad * p,)


FORWARD: dict[str, Callable] = {
    "softmax is applied twice: cross_entropy takes logits": lambda x, y: F.cross_entropy(x.softmax(1), y),
    "softmax runs over the rows of the batch (axis 0), not over the classes": lambda x, y: F.nll_loss(x.log_softmax(0), y),
    "the logarithm is missing: it is -p of the right class, not -log p": lambda x, y: F.nll_loss(x.softmax(1), y),
    "the sum of exponentials is missing: it is -x of the right class": F.nll_loss,
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {
    "the Jacobian of softmax is taken for a diagonal, p (1 - p): every logit moves every probability": _diagonal,
    "the one-hot target is not subtracted: dx = (p - onehot) / N": _not_shifted,
}
VALUES: dict[str, str] = {
    "numbers of +-1e4": "exp overflows or underflows: subtract the largest logit of each row before exp, and take log of the "
    "sum, not of a quotient",
    **dict.fromkeys(STEPS, "the logsumexp is rounded to 16 bits, in steps as large as the loss: keep it in float32"),
}

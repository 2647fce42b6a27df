"""What goes wrong in a product of matrices."""

from __future__ import annotations

from typing import Callable

from torch import Tensor

from scratchnet.checker.sixteen import ALL_EQUAL
from scratchnet.measure.verify import Call


def _products(call: Call, first: Callable, second: Callable) -> tuple[Tensor, Tensor]:
    a, b = (t.detach() for t in call.args)
    return first(call.upstream[0], b), second(a, call.upstream[0])


FORWARD: dict[str, Callable] = {
    "it multiplies element by element: a matrix product is @, not *": lambda a, b: a * b,
    "the second matrix is read transposed": lambda a, b: a @ b.reshape(b.mT.shape).mT,
    "the first matrix is read transposed": lambda a, b: a.reshape(a.mT.shape).mT @ b,
    "the two matrices are multiplied in the other order": lambda a, b: b @ a,
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {
    "a factor is not transposed: grad_input = grad @ other^T, grad_other = input^T @ grad": lambda call: _products(
        call, lambda grad, b: grad @ b.reshape(b.mT.shape), lambda a, grad: a.reshape(a.mT.shape) @ grad
    ),
}
VALUES: dict[str, str] = {
    ALL_EQUAL: "the products are added up in 16 bits, where a long sum stands still: accumulate in float32",
}

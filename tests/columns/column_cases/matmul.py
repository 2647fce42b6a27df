import torch
import torch.nn.functional as F

from column_cases.case import INF, NAN, call, randn, t
from scratchnet.ops import ACTIVATIONS, EPILOGUES

matmul_forward = torch.matmul


def matmul_calls():
    for label, a, b in (
        ("2-D", (3, 4), (4, 5)),
        ("batched", (2, 3, 4, 5), (2, 3, 5, 1)),
        ("K 0", (3, 0), (0, 2)),
        ("M 0", (0, 4), (4, 2)),
    ):
        yield call(label, smooth=0 not in a, a=randn(*a), b=randn(*b))
    yield call("expanded, transposed", a=randn(3, 4).expand(2, 3, 4), b=randn(5, 4).mT.expand(2, 4, 5))
    yield call("batch in another order", a=randn(2, 3, 4, 5), b=randn(3, 2, 5, 2).transpose(0, 1))
    yield call("inf", smooth=False, a=t([[INF, 1.0], [NAN, 2.0]]), b=t([[0.0, 1.0], [1.0, -INF]]))


def linear_forward(x, weight, bias, activation):
    z = F.linear(x, weight, bias)
    name = ACTIVATIONS[activation]
    if name == "none":
        return z, x.new_empty(0)
    y = F.relu(z) if name == "relu" else F.gelu(z, approximate="tanh" if name == "gelu_tanh" else "none")
    return y, x.new_empty(0) if name == "relu" else z


def linear_calls():
    for code, name in enumerate(EPILOGUES):
        for shape in ((5, 4), (2, 3, 4), (4,), (0, 4), (3, 0)):
            args = {"x": randn(*shape), "weight": randn(3, shape[-1]), "bias": randn(3)}
            yield call(f"{name} {shape}", smooth=0 not in shape, activation=code, **args)
        yield call(f"{name} no bias", x=randn(5, 4), weight=randn(3, 4), bias=None, activation=code)
        nan = t([[NAN, 1.0], [1.0, 2.0], [INF, 0.5]])
        yield call(f"{name} nan", smooth=False, x=nan, weight=randn(3, 2), bias=None, activation=code)
    yield call("N 0", smooth=False, x=randn(5, 4), weight=randn(0, 4), bias=randn(0), activation=0)

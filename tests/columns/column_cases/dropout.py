import torch

from column_cases.case import INF, NAN, call, randn, t
from scratchnet.ops.dropout import factors_like


def dropout_forward(x, residual, seed, p):
    y = x * factors_like(x, seed, p)
    return y if residual is None else y + residual


def dropout_calls():
    for shape in ((4, 6), (2, 3, 5), (7,), (), (0,), (2, 0, 3)):
        for name, residual in (("alone", None), ("residual", randn(*shape, seed=1))):
            args = {"x": randn(*shape), "residual": residual, "seed": torch.tensor(7), "p": 0.3}
            yield call(f"{shape} {name}", smooth=0 not in shape, **args)
    yield call("negative seed", x=randn(4, 6), residual=None, seed=torch.tensor(-(2**63)), p=0.5)
    yield call("none dropped", x=randn(4, 6), residual=None, seed=torch.tensor(7), p=0.0)
    yield call("all dropped", x=randn(4, 6), residual=randn(4, 6, seed=1), seed=torch.tensor(7), p=1.0)
    special = t([NAN, INF, -INF, 0.0, -0.0, 1e300, -1e-300, 1.0])
    yield call("special", smooth=False, x=special, residual=None, seed=torch.tensor(1), p=0.5)
    yield call("special, residual", smooth=False, x=special, residual=special.flip(0), seed=torch.tensor(1), p=0.5)

import torch.nn.functional as F

from column_cases.case import INF, NAN, call, randn, t

SHAPES = ((4, 6), (7,), (), (0,), (2, 0, 3))
SPECIAL = t([INF, -INF, NAN, 0.0, -0.0, 40.0, -40.0, 1e3, -1e3, 1e-300])
FORMS = {"none": False, "tanh": True}


def gelu_forward(x, tanh):
    return F.gelu(x, approximate="tanh" if tanh else "none")


def gelu_calls():
    for name, tanh in FORMS.items():
        for shape in SHAPES:
            yield call(f"{name} {shape}", smooth=0 not in shape, x=randn(*shape), tanh=tanh)
        yield call(f"{name} special", smooth=False, x=SPECIAL, tanh=tanh)


def bias_gelu_forward(x, bias, tanh):
    return gelu_forward(x + bias, tanh)


def bias_gelu_calls():
    for name, tanh in FORMS.items():
        for shape in filter(None, SHAPES):
            yield call(f"{name} {shape}", smooth=0 not in shape, x=randn(*shape), bias=randn(shape[-1]), tanh=tanh)
        yield call(f"{name} special", smooth=False, x=SPECIAL.unsqueeze(0), bias=randn(10), tanh=tanh)

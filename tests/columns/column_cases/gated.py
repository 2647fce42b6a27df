import torch
import torch.nn.functional as F

from column_cases.case import INF, NAN, call, randn, t
from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.gated import GATES_BY

SHAPES = ((4, 6), (7,), (), (0,), (2, 0, 3))
SPECIAL = t([INF, -INF, NAN, 0.0, -0.0, 40.0, -40.0, 1e3, -1e3, 1e-300])
OWN = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}

silu_forward = F.silu


def quick_gelu_forward(x):
    return x * torch.sigmoid(1.702 * x)


def squared_relu_forward(x):
    return torch.relu(x).square()


def _calls():
    for shape in SHAPES:
        yield call(f"{shape}", smooth=0 not in shape, x=randn(*shape))
    yield call("special", smooth=False, x=SPECIAL)


silu_calls = quick_gelu_calls = squared_relu_calls = _calls


def gated_forward(gate, value, activation):
    return OWN[ACTIVATIONS[activation]](gate) * value


def gated_calls():
    for name in GATES_BY:
        code = ACTIVATIONS.index(name)
        for shape in SHAPES:
            yield call(
                f"{name} {shape}", smooth=0 not in shape, gate=randn(*shape), value=randn(*shape, seed=1), activation=code
            )
        yield call(f"{name} special", smooth=False, gate=SPECIAL, value=SPECIAL.flip(0), activation=code)


HALVED = (((4, 6), -1), ((4, 6), 0), ((3, 4, 5), 1), ((3, 0), 1), ((0, 4), 1))


def glu_forward(x, dim, activation, gate_first):
    first, second = x.chunk(2, dim)
    gate, value = (first, second) if gate_first else (second, first)
    return gated_forward(gate, value, activation)


def glu_calls():
    for name in GATES_BY:
        for gate_first in (False, True):
            options = {"activation": ACTIVATIONS.index(name), "gate_first": gate_first}
            for shape, dim in HALVED:
                yield call(f"{name} {shape} {dim} {gate_first}", smooth=0 not in shape, x=randn(*shape), dim=dim, **options)
            special = torch.stack([SPECIAL.flip(0), SPECIAL])
            yield call(f"{name} special {gate_first}", smooth=False, x=special, dim=0, **options)


def geglu_forward(x, dim, tanh):
    a, b = x.chunk(2, dim)
    return a * F.gelu(b, approximate="tanh" if tanh else "none")


def geglu_calls():
    for name, tanh in {"none": False, "tanh": True}.items():
        for shape, dim in HALVED:
            yield call(f"{name} {shape} {dim}", smooth=0 not in shape, x=randn(*shape), dim=dim, tanh=tanh)
        yield call(f"{name} special", smooth=False, x=torch.stack([SPECIAL.flip(0), SPECIAL]), dim=0, tanh=tanh)

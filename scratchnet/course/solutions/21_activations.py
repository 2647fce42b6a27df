"""Exercise 21: the exact GELU, the slope of both formulas by product and chain rule, and the share of dead units."""

import math

import torch

from scratchnet.course import drawn, task
from scratchnet.course.calls import names_in

POINTS = (-3.0, -1.0, -0.5, 0.0, 0.5, 2.0)


def along_a_line(f):
    """The values at each of the points, so that the first one that differs says where."""
    x = drawn(torch.tensor(POINTS, dtype=torch.float64))
    values = f(x)
    facts = {f"at {point:g}": float(value) for point, value in zip(x.tolist(), values, strict=True)} | {"all of them": values}
    return facts | {"autograd finds it": bool(names_in(f) & {"autograd", "requires_grad", "requires_grad_", "jacrev", "vjp"})}


@task(
    facts=along_a_line,
    hints=(
        "Phi(x) is the probability that a number from the bell curve is below x: near 0 far left, 1/2 at 0, near 1 far right.",
        "erf runs from -1 to 1; shift and halve it. Its argument is x / sqrt(2).",
        "x * (1 + torch.erf(x / math.sqrt(2))) / 2",
    ),
    without=("gelu",),
)
def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


@gelu.mistake
def without_the_root(x):
    """erf(x) belongs to a bell curve that is narrower by sqrt(2). For the standard one take erf(x / sqrt(2))."""
    return x * (1 + torch.erf(x)) / 2


@gelu.mistake
def not_halved(x):
    """1 + erf runs from 0 to 2. A probability ends at 1: halve it."""
    return x * (1 + torch.erf(x / math.sqrt(2)))


@gelu.mistake
def only_phi(x):
    """That is Phi(x), the probability alone. GELU is x times it."""
    return (1 + torch.erf(x / math.sqrt(2))) / 2


@gelu.mistake
def with_a_sigmoid(x):
    """x * sigmoid(1.702 x) is a rough stand-in for GELU, off by up to 0.02. The exact one needs erf."""
    return x * torch.sigmoid(1.702 * x)


@gelu.mistake
def with_tanh(x):
    """That is the formula with tanh, off by up to 0.0005. The exact one needs erf."""
    return x * (1 + _tanh_parts(x)[0]) / 2


@gelu.mistake
def one_forgotten(x):
    """erf runs from -1 to 1, a probability from 0 to 1: add 1, then halve."""
    return x * torch.erf(x / math.sqrt(2)) / 2


@gelu.mistake
def sign_of_erf(x):
    """That is x times the probability of a number *above* x: it lets through what GELU stops. 1 + erf, not 1 - erf."""
    return x * (1 - torch.erf(x / math.sqrt(2))) / 2


def _Phi(x):
    return (1 + torch.erf(x / math.sqrt(2))) / 2


def _phi(x):
    return torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@task(
    facts=along_a_line,
    hints=(
        "GELU is a product, x times Phi(x). The slope of a product has two parts.",
        "The slope of x is 1; the slope of Phi is the height of the bell curve, phi(x) = exp(-x * x / 2) / sqrt(2 pi).",
        "Phi + x * phi",
    ),
    without=("gelu",),
)
def gelu_slope(x):
    Phi = (1 + torch.erf(x / math.sqrt(2))) / 2
    phi = torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return Phi + x * phi


@gelu_slope.mistake
def first_part_only(x):
    """That is Phi alone, as if Phi(x) did not change with x. The product rule adds x * phi(x)."""
    return _Phi(x)


@gelu_slope.mistake
def second_part_without_x(x):
    """The second part is x times the slope of Phi; the x is missing."""
    return _Phi(x) + _phi(x)


@gelu_slope.mistake
def slopes_multiplied(x):
    """The slope of a product is not the product of the slopes: it is f' g + f g'."""
    return _phi(x)


@gelu_slope.mistake
def bell_not_normalised(x):
    """exp(-x * x / 2) has an area of sqrt(2 pi) below it. A bell curve of probabilities has an area of 1: divide."""
    return _Phi(x) + x * torch.exp(-x * x / 2)


@gelu_slope.mistake
def bell_without_the_half(x):
    """The bell curve is exp(-x * x / 2); without the half it is too narrow."""
    return _Phi(x) + x * torch.exp(-x * x) / math.sqrt(2 * math.pi)


@gelu_slope.mistake
def slope_inside_erf_forgotten(x):
    """The argument of erf is x / sqrt(2), and the chain rule brings another 1 / sqrt(2): the bell curve is divided by sqrt(2
    pi), not by sqrt(pi)."""
    return _Phi(x) + x * torch.exp(-x * x / 2) / math.sqrt(math.pi)


@gelu_slope.mistake
def subtracted(x):
    """The product rule adds its two parts: Phi + x * phi."""
    return _Phi(x) - x * _phi(x)


@gelu_slope.mistake
def by_autograd(x):
    """The slopes are right, but autograd found them. Find them yourself: x times Phi(x) is a product."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(gelu(x).sum(), x)[0]


def _tanh_parts(x):
    k = math.sqrt(2 / math.pi)
    return torch.tanh(k * (x + 0.044715 * x**3)), k * (1 + 3 * 0.044715 * x**2)


@task(
    facts=along_a_line,
    hints=(
        "A product again: what is missing is x times the slope of (1 + t) / 2, and t = tanh(u) is a chain.",
        "The slope of tanh is 1 - t * t, times the slope of u. The slope of x**3 is 3 * x**2.",
        "(1 + t) / 2 + x * (1 - t * t) * u_slope / 2 with u_slope = k * (1 + 3 * 0.044715 * x**2)",
    ),
)
def tanh_gelu_slope(x):
    k = math.sqrt(2 / math.pi)
    t = torch.tanh(k * (x + 0.044715 * x**3))
    return (1 + t) / 2 + x * (1 - t * t) * k * (1 + 3 * 0.044715 * x**2) / 2


@tanh_gelu_slope.mistake
def chain_broken(x):
    """The slope of tanh(u) is (1 - t * t) times the slope of u; that last factor is missing."""
    t, _ = _tanh_parts(x)
    return (1 + t) / 2 + x * (1 - t * t) / 2


@tanh_gelu_slope.mistake
def cubic_as_it_stands(x):
    """The slope of x**3 is 3 * x**2; the 3 is missing."""
    t, _ = _tanh_parts(x)
    return (1 + t) / 2 + x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 0.044715 * x**2) / 2


@tanh_gelu_slope.mistake
def without_tanh_itself(x):
    """The slope of tanh is 1 - t * t; you took only the slope of what is inside it."""
    t, u_slope = _tanh_parts(x)
    return (1 + t) / 2 + x * u_slope / 2


@tanh_gelu_slope.mistake
def half_forgotten(x):
    """The half belongs to both parts of the product rule: (1 + t) / 2 and x * t_slope / 2."""
    t, u_slope = _tanh_parts(x)
    return (1 + t) / 2 + x * (1 - t * t) * u_slope


@tanh_gelu_slope.mistake
def constant_forgotten(x):
    """The slope of u has the factor k = sqrt(2 / pi), which stands in front of its bracket."""
    t, u_slope = _tanh_parts(x)
    return (1 + t) / 2 + x * (1 - t * t) * u_slope / math.sqrt(2 / math.pi) / 2


@tanh_gelu_slope.mistake
def x_forgotten(x):
    """The second part of the product rule is x times the slope of (1 + t) / 2; the x is missing."""
    t, u_slope = _tanh_parts(x)
    return (1 + t) / 2 + (1 - t * t) * u_slope / 2


@tanh_gelu_slope.mistake
def by_torch(x):
    """The slopes are right, but autograd found them. The missing part is x times the slope of (1 + t) / 2."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad((x * (1 + _tanh_parts(x)[0]) / 2).sum(), x)[0]


@tanh_gelu_slope.mistake
def of_the_exact_one(x):
    """That is the slope of the exact GELU. The formula with tanh is a different function with a slope of its own."""
    return gelu_slope(x)


def units_at_work(dead_share):
    z = drawn(
        torch.tensor(
            [
                [-1.0, -2.0, 3.0, -4.0, 0.0],
                [-0.5, 2.0, 1.0, -3.0, -1.0],
                [-2.0, -1.0, -1.0, -0.1, -2.0],
            ]
        )
    )
    return {
        "the share of 5 units for 3 inputs": float(dead_share(z)),
        "the share if all are open": float(dead_share(torch.ones(4, 2))),
    }


@task(
    facts=units_at_work,
    hints=(
        "A unit is a column of z. It is dead if its gate is closed for all N inputs; the gate opens only above 0.",
        "z <= 0 says which gates are closed; all(dim=...) along the axis of the inputs; then the mean.",
        "(z <= 0).all(dim=0).double().mean().item()",
    ),
)
def dead_share(z):
    return (z <= 0).all(dim=0).double().mean().item()


@dead_share.mistake
def share_of_closed_gates(z):
    """That is the share of closed gates, which is about a half in a healthy layer. A unit is dead if it is closed for all
    inputs."""
    return (z <= 0).double().mean().item()


@dead_share.mistake
def closed_once(z):
    """`any` counts a unit that is closed for some input. Almost every healthy unit is: dead means closed for all."""
    return (z <= 0).any(dim=0).double().mean().item()


@dead_share.mistake
def along_the_units(z):
    """dim=1 runs along the units: it asks for inputs that open nothing. Units are columns, so look along dim=0."""
    return (z <= 0).all(dim=1).double().mean().item()


@dead_share.mistake
def zero_counts_as_open(z):
    """At exactly 0 the output is 0 and the slope is 0 too: closed. Take <= instead of <."""
    return (z < 0).all(dim=0).double().mean().item()


@dead_share.mistake
def the_living(z):
    """That is the share of units that are alive."""
    return (z > 0).any(dim=0).double().mean().item()

"""Exercise 30: the product rule, a parameter, three promises, the first output that is not finite."""

import math

import torch
from torch import Tensor

from scratchnet import nn
from scratchnet.course import drawn, task


def slopes(swish_backward):
    x, g = drawn(torch.tensor([-2.0, 0.0, 0.5, 3.0])), drawn(torch.tensor([1.0, 10.0, -1.0, 0.5]))
    far = drawn(torch.tensor([-100.0, 100.0]))
    return {
        "the gradient of x = -2, 0, 0.5 and 3 for g = 1, 10, -1 and 0.5": swish_backward(g, x),
        "that of x = -100 and 100 for g = 1": swish_backward(torch.ones(2), far),
    }


@task(
    facts=slopes,
    hints=(
        "A product of two things that both depend on x: the slope of one times the other, plus the other way round.",
        "The slope of x is 1, that of s is s (1 - s). And then the chain rule: times g.",
        "g * (s + x * s * (1 - s))",
    ),
)
def swish_backward(g, x):
    s = torch.sigmoid(x)
    return g * (s + x * s * (1 - s))


@swish_backward.mistake
def only_the_gate(g, x):
    """You treated s as a constant, but it depends on x as well. A product has two slopes: 1 s + x s (1 - s)."""
    return g * torch.sigmoid(x)


@swish_backward.mistake
def only_the_slope_of_the_gate(g, x):
    """You treated the factor x as a constant; its slope is 1. A product has two slopes: 1 s + x s (1 - s)."""
    s = torch.sigmoid(x)
    return g * x * s * (1 - s)


@swish_backward.mistake
def g_forgotten(g, x):
    """That is the slope of y alone. Multiply it by the incoming gradient, g: the chain rule."""
    return swish_backward(torch.ones_like(x), x)


@swish_backward.mistake
def slope_of_the_line(g, x):
    """You took the slope of s for s itself: g (s + x s). The slope of a sigmoid is s (1 - s)."""
    s = torch.sigmoid(x)
    return g * (s + x * s)


@swish_backward.mistake
def overflows(g, x):
    """At 100 it is NaN: exp(100) is infinite in float32, and infinite / infinite is NaN. 1 / (1 + exp(-x)) or torch.sigmoid
    holds up."""
    s = x.exp() / (1 + x.exp())
    return g * (s + x * s * (1 - s))


def learned(Swish):
    layer, x = Swish(), drawn(torch.tensor([[-1.0, 0.0, 2.0]]))
    parameters = [(tuple(p.shape), p.item()) for p in layer.parameters()]
    y, far = layer(x), layer(drawn(torch.tensor([-100.0, 100.0])))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(2.0)
    z = layer(x)
    if z.requires_grad:
        z.sum().backward()
    gradient = [None if p.grad is None else p.grad.clone() for p in layer.parameters()]
    return {
        "its parameters: shape, value": parameters,
        "y for x = -1, 0, 2": y.detach(),
        "y for x = -100 and 100": far.detach(),
        "y with beta = 2": z.detach(),
        "the gradient of beta = 2": gradient,
    }


@task(
    facts=learned,
    hints=(
        "A module prepares itself first, then it makes what it owns. What is learned is a Parameter.",
        "super().__init__(), then self.beta = nn.Parameter(a tensor without axes). In forward, beta goes inside the sigmoid.",
        "self.beta = nn.Parameter(torch.tensor(1.0)); x * torch.sigmoid(self.beta * x)",
    ),
)
class Swish(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return x * torch.sigmoid(self.beta * x)


class _Swish(nn.Module):
    """The layer, for making mistakes with."""

    def __init__(self, beta, formula=lambda x, beta: x * torch.sigmoid(beta * x)):
        super().__init__()
        self.beta, self.formula = beta, formula

    def forward(self, x):
        return self.formula(x, self.beta)


@Swish.mistake
def a_plain_tensor():
    """beta is a plain tensor, so nothing will train it or save it: wrap it in nn.Parameter."""
    return _Swish(torch.tensor(1.0))


@Swish.mistake
def one_axis():
    """beta has shape (1,). One number without an axis is torch.tensor(1.0), of shape ()."""
    return _Swish(nn.Parameter(torch.ones(1)))


@Swish.mistake
class not_prepared(nn.Module):
    """The module was not prepared, so it has no list for its parameters: the first line is super().__init__()."""

    def __init__(self):
        self.beta = nn.Parameter(torch.tensor(1.0))


@Swish.mistake
def beta_unused():
    """beta has no effect: it belongs inside the sigmoid, x sigmoid(beta x)."""
    return _Swish(nn.Parameter(torch.tensor(1.0)), lambda x, beta: x * torch.sigmoid(x))


@Swish.mistake
def beta_outside():
    """beta multiplies the whole result. It belongs inside the sigmoid, where it makes the bend sharper: x sigmoid(beta x)."""
    return _Swish(nn.Parameter(torch.tensor(1.0)), lambda x, beta: beta * x * torch.sigmoid(x))


@Swish.mistake
def overflows_in_the_layer():
    """At 100 it is NaN: exp(100) is infinite in float32, and infinite / infinite is NaN. 1 / (1 + exp(-x)) or torch.sigmoid
    holds up."""
    return _Swish(nn.Parameter(torch.tensor(1.0)), lambda x, beta: x * (beta * x).exp() / (1 + (beta * x).exp()))


@Swish.mistake
def whole_number():
    """torch.tensor(1) is a whole number, and only floats have gradients: torch.tensor(1.0)."""
    return _Swish(nn.Parameter(torch.tensor(1)))


def promises(operator):
    swish = operator("exercise30::swish", swish_backward)
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    y = swish(x.detach())
    with torch.device("meta"):
        fake = swish(torch.empty(2, 7, dtype=torch.bfloat16))
    return {
        "y of a random x (3, 5)": y,
        "y of -100 and 100": swish(drawn(torch.tensor([-100.0, 100.0]))),
        "a fake result: shape, dtype, device": [tuple(fake.shape), fake.dtype, fake.device.type],
        "gradcheck passes": torch.autograd.gradcheck(swish, x, raise_exception=False),
        "opcheck finds nothing": set(torch.library.opcheck(swish, (x,), test_utils=UTILS).values()) == {"SUCCESS"},
    }


UTILS = ("test_schema", "test_autograd_registration", "test_faketensor")


@task(
    facts=promises,
    hints=(
        "Three promises: what it computes, what shape comes out, and the way back.",
        "The fake is empty and like x: torch.empty_like. keep saves x, which is inputs[0]; way_back calls backward(g, x).",
        "(x,) = inputs; ctx.save_for_backward(x), and in way_back: backward(g, *ctx.saved_tensors)",
    ),
)
def operator(name, backward):
    @torch.library.custom_op(name, mutates_args=())
    def swish(x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)

    @swish.register_fake
    def _(x):
        return torch.empty_like(x)

    def keep(ctx, inputs, output):
        (x,) = inputs
        ctx.save_for_backward(x)

    def way_back(ctx, g):
        return backward(g, *ctx.saved_tensors)

    swish.register_autograd(way_back, setup_context=keep)
    return swish


def _operator(name, backward, forward=lambda x: x * torch.sigmoid(x), fake=torch.empty_like, saved=lambda x, y: x):
    """The operator with its mistakes as options."""

    @torch.library.custom_op(name, mutates_args=())
    def swish(x: Tensor) -> Tensor:
        return forward(x)

    swish.register_fake(lambda x: fake(x))
    keep = lambda ctx, inputs, output: ctx.save_for_backward(saved(inputs[0], output))
    swish.register_autograd(lambda ctx, g: backward(g, *ctx.saved_tensors), setup_context=keep)
    return swish


@operator.mistake
def another_dtype(name, backward):
    """The fake says float32, whatever x is, and torch.compile would believe it: torch.empty_like(x) takes dtype and device."""
    return _operator(name, backward, fake=lambda x: torch.empty(x.shape, device=x.device))


@operator.mistake
def output_kept(name, backward):
    """The backward got y where it needs x: save inputs[0], not output."""
    return _operator(name, backward, saved=lambda x, y: y)


@operator.mistake
def only_the_sigmoid(name, backward):
    """That is the sigmoid alone. Swish multiplies it by x."""
    return _operator(name, backward, forward=torch.sigmoid)


@operator.mistake
def overflows_in_the_operator(name, backward):
    """At 100 it is NaN: exp(100) is infinite in float32, and infinite / infinite is NaN. 1 / (1 + exp(-x)) or torch.sigmoid
    holds up."""
    return _operator(name, backward, forward=lambda x: x * x.exp() / (1 + x.exp()))


class _Logarithm(nn.Module):
    def forward(self, x):
        return x.log()


class _Spoils(nn.Module):
    """Puts a value at one place."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        y = x.clone()
        y[5, 1] = self.value
        return y


def diagnosed(first_sick_layer):
    inner = nn.Sequential(nn.ReLU(), _Logarithm())  # log 0 is minus infinity; everything after it is NaN or infinite
    model = nn.Sequential(nn.Linear(3, 4), inner, nn.Linear(4, 4), nn.Linear(4, 2))
    healthy, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.randn(8, 3)
    bad = {"NaN": math.nan, "infinity": math.inf}
    spoilt = {name: nn.Sequential(nn.Linear(3, 4), _Spoils(value), nn.Linear(4, 2)) for name, value in bad.items()}
    return {
        "a log of zeros in a Sequential": first_sick_layer(model, x),
        **{f"a layer that puts a single {name} in": first_sick_layer(spoilt[name], x) for name in bad},
        "a healthy network": first_sick_layer(healthy, x),
        "hooks that are left on the model": sum(len(layer._forward_hooks) for layer in model.modules()),
    }


@task(
    facts=diagnosed,
    hints=(
        "A hook is called after its layer, with what came out. It notes the name; at the end the hooks are removed.",
        "torch.isfinite(output).all() is true if there is neither NaN nor infinity.",
        "if not torch.isfinite(output).all(): sick.append(name), and at the end: for hook in hooks: hook.remove()",
    ),
)
def first_sick_layer(model, x):
    sick, hooks = [], []
    for name, layer in model.named_modules():
        if not [*layer.children()]:

            def look(layer, inputs, output, name=name):
                if not torch.isfinite(output).all():
                    sick.append(name)

            hooks.append(layer.register_forward_hook(look))
    model(x)
    for hook in hooks:
        hook.remove()
    return sick[0] if sick else None


def _first_sick_layer(model, x, bad=lambda y: ~torch.isfinite(y), which=0, remove=True):
    sick, hooks = [], []
    for name, layer in model.named_modules():
        if not [*layer.children()]:
            look = lambda layer, inputs, output, name=name: sick.append(name) if bad(output).any() else None
            hooks.append(layer.register_forward_hook(look))
    model(x)
    for hook in hooks:
        if remove:
            hook.remove()
    return sick[which] if sick else None


@first_sick_layer.mistake
def only_nan(model, x):
    """You looked only for NaN. The logarithm of 0 is minus infinity; NaN comes later, in the next layer: isfinite."""
    return _first_sick_layer(model, x, bad=torch.isnan)


@first_sick_layer.mistake
def only_infinity(model, x):
    """You looked only for infinity. NaN is not infinite, and not finite either: ask torch.isfinite."""
    return _first_sick_layer(model, x, bad=torch.isinf)


@first_sick_layer.mistake
def sick_as_a_whole(model, x):
    """You looked for an output that is sick everywhere, but one NaN among healthy numbers is enough: ask whether *any* entry is
    not finite."""
    return _first_sick_layer(model, x, bad=lambda y: (~torch.isfinite(y)).all())


@first_sick_layer.mistake
def hooks_stay(model, x):
    """The hooks are still on the model and would run in every forward from now on: call remove() on each."""
    return _first_sick_layer(model, x, remove=False)


@first_sick_layer.mistake
def not_the_first(model, x):
    """That is the last one. Once NaN or infinity is there, every later layer has it too: the first one is to blame."""
    return _first_sick_layer(model, x, which=-1)

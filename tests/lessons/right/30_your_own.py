"""Right answers to exercise 30, each in a style of its own."""

import torch
import torch.nn.functional as F

from scratchnet import nn


def swish_backward__from_y(g, x):
    """s + y (1 - s), with the sigmoid from exp(-x)."""
    s = 1 / (1 + torch.exp(-x))
    y = x * s
    return g * (s + y * (1 - s))


def swish_backward__factored(g, x):
    """s (1 + x (1 - s))."""
    s = x.sigmoid()
    return s.mul(1 + x.mul(1 - s)).mul(g)


def swish_backward__tanh(g, x):
    """The sigmoid as a tanh, entry by entry."""
    result = torch.empty_like(x)
    for i in range(x.numel()):
        s = (1 + torch.tanh(x.flatten()[i] / 2)) / 2
        result.view(-1)[i] = g.flatten()[i] * (s + x.flatten()[i] * s * (1 - s))
    return result


class Swish__ones(nn.Module):
    """torch.ones without axes."""

    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x / (1 + (-self.beta * x).exp())


class Swish__registered(torch.nn.Module):
    """register_parameter, another name, F.sigmoid."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.register_parameter("b", torch.nn.Parameter(torch.tensor(1.0)))

    def forward(self, x):
        return torch.mul(x, F.sigmoid(torch.mul(self.b, x)))


class Swish__silu(nn.Module):
    """silu of beta x, divided by beta."""

    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.full((), 1.0))

    def forward(self, x):
        return F.silu(self.beta * x) / self.beta


def operator__stub(name, backward):
    """As the stub begins it."""

    @torch.library.custom_op(name, mutates_args=())
    def swish(x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)

    @swish.register_fake
    def _(x):
        return torch.empty_like(x)

    def keep(ctx, inputs, output):
        (x,) = inputs
        ctx.save_for_backward(x)

    def way_back(ctx, g):
        (x,) = ctx.saved_tensors
        return backward(g, x)

    swish.register_autograd(way_back, setup_context=keep)
    return swish


def operator__new_empty(name, backward):
    """new_empty for the fake, x kept as an attribute."""

    @torch.library.custom_op(name, mutates_args=())
    def swish(x: torch.Tensor) -> torch.Tensor:
        return x / (1 + torch.exp(-x))

    swish.register_fake(lambda x: x.new_empty(x.shape))

    def keep(ctx, inputs, output):
        ctx.x = inputs[0]

    swish.register_autograd(lambda ctx, g: backward(g, ctx.x), setup_context=keep)
    return swish


def operator__dtype_and_device(name, backward):
    """Every property named, and zeros that nobody reads."""

    @torch.library.custom_op(name, mutates_args=())
    def swish(x: torch.Tensor) -> torch.Tensor:
        return F.silu(x)

    @swish.register_fake
    def _(x):
        return torch.zeros(x.shape, dtype=x.dtype, device=x.device)

    def keep(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    def way_back(ctx, g):
        return backward(g, *ctx.saved_tensors)

    swish.register_autograd(way_back, setup_context=keep)
    return swish


def first_sick_layer__stub(model, x):
    """As the stub begins it."""
    sick, hooks = [], []
    for name, layer in model.named_modules():
        if not [*layer.children()]:

            def look(layer, inputs, output, name=name):
                if torch.isnan(output).any() or torch.isinf(output).any():
                    sick.append(name)

            hooks.append(layer.register_forward_hook(look))
    model(x)
    for hook in hooks:
        hook.remove()
    return sick[0] if sick else None


def first_sick_layer__finally(model, x):
    """All outputs in a dictionary, looked at afterwards."""
    outputs, hooks = {}, []
    keep = lambda name: lambda layer, inputs, output: outputs.update({name: output.detach().clone()})
    leaves = {name: layer for name, layer in model.named_modules() if len(list(layer.children())) == 0}
    try:
        hooks = [layer.register_forward_hook(keep(name)) for name, layer in leaves.items()]
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return next((name for name, y in outputs.items() if not bool(torch.isfinite(y).all())), None)


def first_sick_layer__sum(model, x):
    """A class that remembers; y - y is 0 for finite numbers only."""

    class Doctor:
        found = None

        def __call__(self, layer, inputs, output):
            if self.found is None and not ((output - output) == 0).all():
                self.found = names[layer]

    doctor = Doctor()
    names = {layer: name for name, layer in model.named_modules() if not any(layer.children())}
    handles = [layer.register_forward_hook(doctor) for layer in names]
    model(x)
    [handle.remove() for handle in handles]
    return doctor.found

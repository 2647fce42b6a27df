"""Exercise 25: momentum, Adam with its bias correction, AdamW, and parameter groups."""

import torch

from scratchnet import nn, optim
from scratchnet.course import drawn, task


def after_100_steps(step, zeros, optimizer):
    """Whether `step`, called as step(w, g, *state, t), ends where the library's optimizer does after the same 100 gradients."""
    start, gradients = torch.randn(5, dtype=torch.float64), torch.randn(100, 5, dtype=torch.float64)
    ours, theirs = start, start.clone().requires_grad_()
    library, state = optimizer([theirs]), [torch.zeros_like(start)] * zeros
    for t, g in enumerate(gradients, start=1):
        ours, *state = step(ours, g, *state, t)
        theirs.grad = g
        library.step()
    return bool((ours - theirs).abs().max() < 1e-10)


def _kept(names, step, w, g, *arguments):
    """Whether the tensors with these names, w and the state, are after a step what they were before."""
    tensors = [w, *(argument for argument in arguments if isinstance(argument, torch.Tensor))]
    before = [tensor.clone() for tensor in tensors]
    step(w, g, *arguments)
    return {
        f"the {name} that was given keeps its numbers": torch.equal(tensor, old)
        for name, tensor, old in zip(names, tensors, before, strict=True)
    }


def momentum_steps(momentum_step):
    w, g = drawn(torch.tensor([1.0, -2.0])), drawn(torch.tensor([10.0, 1.0]))
    facts, v = {}, torch.zeros(2)
    for t in (1, 2, 3):
        w, v = momentum_step(w.clone(), g, v.clone(), 0.1, 0.5)
        facts |= {f"v after step {t} with the gradient 10, 1": v, f"w after step {t}": w}
    same = after_100_steps(
        lambda w, g, v, t: momentum_step(w, g, v, 0.01, 0.9), 1, lambda params: optim.SGD(params, lr=0.01, momentum=0.9)
    )
    kept = _kept("wv", momentum_step, w.clone(), g, torch.ones(2), 0.1, 0.5)
    return facts | {"100 steps are those of optim.SGD": same} | kept


@task(
    facts=momentum_steps,
    hints=(
        "v is a sum of gradients in which older ones fade. The step follows v, not g.",
        "Fade what was there, then add the plain gradient.",
        "v = momentum * v + g; return w - lr * v, v",
    ),
)
def momentum_step(w, g, v, lr, momentum):
    v = momentum * v + g
    return w - lr * v, v


@momentum_step.mistake
def a_mean_instead_of_a_sum(w, g, v, lr, momentum):
    """That is a running mean: (1 - momentum) * g. Momentum in torch adds the plain gradient, so v grows up to 10 g."""
    v = momentum * v + (1 - momentum) * g
    return w - lr * v, v


@momentum_step.mistake
def follows_the_gradient(w, g, v, lr, momentum):
    """v is right, but the step does not use it: w moves by lr * v."""
    return w - lr * g, momentum * v + g


@momentum_step.mistake
def steps_before_it_looks(w, g, v, lr, momentum):
    """w moved by the old v. First update v, then step."""
    return w - lr * v, momentum * v + g


@momentum_step.mistake
def uphill(w, g, v, lr, momentum):
    """w went uphill: the gradient points up, so subtract."""
    v = momentum * v + g
    return w + lr * v, v


@momentum_step.mistake
def v_in_place(w, g, v, lr, momentum):
    """The numbers are right, but the v that was given has changed: `v *= ...`, `v += ...` and mul_ write into it. v = momentum
    * v + g makes a new tensor."""
    v *= momentum
    v += g
    return w - lr * v, v


@momentum_step.mistake
def w_in_place(w, g, v, lr, momentum):
    """The numbers are right, but the w that was given has changed: `w -= ...` writes into it. w - lr * v makes a new tensor."""
    v = momentum * v + g
    w -= lr * v
    return w, v


@momentum_step.mistake
def rate_inside(w, g, v, lr, momentum):
    """You put lr into v. The steps look the same until lr changes: then the old part of v would keep the old rate. In torch v
    collects plain gradients, and the step is lr * v."""
    v = momentum * v + lr * g
    return w - v, v


def adam_steps(adam_step):
    w, g, zeros = drawn(torch.tensor([1.0, -2.0])), drawn(torch.tensor([0.001, -100.0])), torch.zeros(2)
    first, m, s = adam_step(w.clone(), g, zeros.clone(), zeros.clone(), 1, 0.01)
    second, m2, s2 = adam_step(first.clone(), 2 * g, m.clone(), s.clone(), 2, 0.01)
    return {
        "how far the first step moves w, in multiples of lr": (first - w) / 0.01,
        "m after the first step": m,
        "s after the first step": s,
        "w after the second step": second,
        "m after the second step": m2,
        "s after the second step": s2,
        "100 steps are those of optim.Adam": after_100_steps(
            lambda w, g, m, s, t: adam_step(w, g, m, s, t, 0.01), 2, lambda params: optim.Adam(params, lr=0.01)
        ),
    } | _kept("wms", adam_step, w.clone(), g, torch.ones(2), torch.ones(2), 3, 0.01)


@task(
    facts=adam_steps,
    hints=(
        "Two running means, their bias correction, then the step. The first step must be lr everywhere.",
        "The corrected means are used only for the step; m and s themselves are kept and returned.",
        "w - lr * (m / (1 - 0.9**t)) / ((s / (1 - 0.999**t)).sqrt() + 1e-8)",
    ),
)
def adam_step(w, g, m, s, t, lr):
    m = 0.9 * m + 0.1 * g
    s = 0.999 * s + 0.001 * g * g
    return w - lr * (m / (1 - 0.9**t)) / ((s / (1 - 0.999**t)).sqrt() + 1e-8), m, s


def _means(g, m, s):
    return 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g


@adam_step.mistake
def without_correction(w, g, m, s, t, lr):
    """The first step is 3.16 times lr: the bias correction is missing. Divide m by 1 - 0.9**t and s by 1 - 0.999**t."""
    m, s = _means(g, m, s)
    return w - lr * m / (s.sqrt() + 1e-8), m, s


@adam_step.mistake
def only_m_corrected(w, g, m, s, t, lr):
    """Both means start at 0 and need the correction: s / (1 - 0.999**t) too, or the first step is far too long."""
    m, s = _means(g, m, s)
    return w - lr * (m / (1 - 0.9**t)) / (s.sqrt() + 1e-8), m, s


@adam_step.mistake
def corrected_means_are_kept(w, g, m, s, t, lr):
    """The corrected means were returned as m and s, so the next step corrects them again. Keep m and s as they are."""
    m, s = _means(g, m, s)
    m, s = m / (1 - 0.9**t), s / (1 - 0.999**t)
    return w - lr * m / (s.sqrt() + 1e-8), m, s


@adam_step.mistake
def without_the_root(w, g, m, s, t, lr):
    """s is the size of the gradient *squared*: divide by its root. Without it small gradients make huge steps."""
    m, s = _means(g, m, s)
    return w - lr * (m / (1 - 0.9**t)) / (s / (1 - 0.999**t) + 1e-8), m, s


@adam_step.mistake
def counted_from_zero(w, g, m, s, t, lr):
    """t counts from 1. With t - 1 the first correction divides by 1 - 1 = 0."""
    m, s = _means(g, m, s)
    return w - lr * (m / (1 - 0.9 ** (t - 1))) / ((s / (1 - 0.999 ** (t - 1))).sqrt() + 1e-8), m, s


@adam_step.mistake
def product_in_place_of_a_power(w, g, m, s, t, lr):
    """0.9 * t is a product. After t steps the mean has missed 0.9 to the *power* of t: 1 - 0.9**t. In the first step the two
    are the same, which hides it."""
    m, s = _means(g, m, s)
    return w - lr * (m / (1 - 0.9 * t)) / ((s / (1 - 0.999 * t)).sqrt() + 1e-8), m, s


@adam_step.mistake
def eps_inside_the_root(w, g, m, s, t, lr):
    """In Adam eps stands outside the root: s.sqrt() + eps. Inside it is as large as a gradient of 0.0001."""
    m, s = _means(g, m, s)
    return w - lr * (m / (1 - 0.9**t)) / (s / (1 - 0.999**t) + 1e-8).sqrt(), m, s


@adam_step.mistake
def eps_before_the_correction(w, g, m, s, t, lr):
    """eps was added to the root of the uncorrected s, where it weighs more in the first steps. Correct s, take the root, then
    add eps."""
    m, s = _means(g, m, s)
    return w - lr * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t) * m / (s.sqrt() + 1e-8), m, s


@adam_step.mistake
def state_in_place(w, g, m, s, t, lr):
    """The numbers are right, but the m and s that were given have changed: `*=`, `+=` and mul_ write into them."""
    m.mul_(0.9).add_(0.1 * g)
    s.mul_(0.999).add_(0.001 * g * g)
    return w - lr * (m / (1 - 0.9**t)) / ((s / (1 - 0.999**t)).sqrt() + 1e-8), m, s


def adamw_steps(adamw_step):
    w, zeros = drawn(torch.tensor([10.0, -20.0])), torch.zeros(2)
    step = lambda g: adamw_step(w.clone(), zeros + g, zeros.clone(), zeros.clone(), 1, 0.1, 0.5)
    return {
        "w = 10, -20 after a step with gradient 0, lr 0.1, decay 0.5": step(0)[0],
        "w after a step with gradient 1": step(1)[0],
        "m after it": step(1)[1],
        "100 steps are those of optim.AdamW": after_100_steps(
            lambda w, g, m, s, t: adamw_step(w, g, m, s, t, 0.01, 0.1),
            2,
            lambda params: optim.AdamW(params, lr=0.01, weight_decay=0.1),
        ),
    } | _kept("wms", adamw_step, w.clone(), zeros, zeros + 1, zeros + 1, 3, 0.1, 0.5)


@task(
    facts=adamw_steps,
    hints=(
        "The decay is not part of the gradient: it shrinks the weight itself, before an ordinary step of Adam.",
        "You already have adam_step; give it a smaller w.",
        "return adam_step(w * (1 - lr * decay), g, m, s, t, lr)",
    ),
)
def adamw_step(w, g, m, s, t, lr, decay):
    return adam_step(w * (1 - lr * decay), g, m, s, t, lr)


@adamw_step.mistake
def decay_in_the_gradient(w, g, m, s, t, lr, decay):
    """decay * w was added to the gradient: that is Adam's weight_decay, which is divided by the scale. Shrink w itself."""
    return adam_step(w, g + decay * w, m, s, t, lr)


@adamw_step.mistake
def without_the_rate(w, g, m, s, t, lr, decay):
    """The decay of a step is lr * decay; without lr the weights are gone in no time."""
    return adam_step(w * (1 - decay), g, m, s, t, lr)


@adamw_step.mistake
def no_decay_at_all(w, g, m, s, t, lr, decay):
    """With a gradient of 0 the weight did not move: the decay is missing."""
    return adam_step(w, g, m, s, t, lr)


@adamw_step.mistake
def decay_after_the_step(w, g, m, s, t, lr, decay):
    """The decay was taken from the w that Adam's step had already moved. It shrinks the old w: first the decay, then the
    step."""
    w, m, s = adam_step(w, g, m, s, t, lr)
    return w * (1 - lr * decay), m, s


def who_is_where(groups):
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 8), nn.LayerNorm(8), nn.Conv2d(8, 2, 3))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = optim.AdamW(groups(model, 0.3), lr=0.01)
    decayed, others = optimizer.param_groups
    return {
        "with weight decay": sorted(names[id(parameter)] for parameter in decayed["params"]),
        "without": sorted(names[id(parameter)] for parameter in others["params"]),
        "the two values of weight_decay": (decayed["weight_decay"], others["weight_decay"]),
    }


@task(
    facts=who_is_where,
    hints=(
        "A matrix has two axes or more; biases and the weights of a norm have one. The name does not tell you: ask the shape.",
        "model.parameters() gives all of them; parameter.ndim is the number of axes.",
        '{"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": decay}, and likewise for the others',
    ),
)
def groups(model, decay):
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


@groups.mistake
def by_name(model, decay):
    """LayerNorm's weight is called weight too, but it is not a matrix. Ask for the number of axes, not for the name."""
    weights = [parameter for name, parameter in model.named_parameters() if name.endswith("weight")]
    others = [parameter for name, parameter in model.named_parameters() if not name.endswith("weight")]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


@groups.mistake
def the_wrong_way_round(model, decay):
    """The two groups are swapped: the matrices come first, with the decay."""
    first, second = groups(model, decay)
    return [first | {"params": second["params"]}, second | {"params": first["params"]}]


@groups.mistake
def both_decay(model, decay):
    """Both groups decay. The second one needs weight_decay 0, or AdamW takes its default, 0.01."""
    first, second = groups(model, decay)
    return [first, second | {"weight_decay": decay}]


@groups.mistake
def left_to_the_default(model, decay):
    """The second group says nothing about weight_decay, so it gets AdamW's default, 0.01. Say 0."""
    first, second = groups(model, decay)
    return [first, {"params": second["params"]}]


@groups.mistake
def exactly_two_axes(model, decay):
    """A convolution's weight has four axes and is left out: the task says 2 axes or *more*, ndim >= 2."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim != 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]

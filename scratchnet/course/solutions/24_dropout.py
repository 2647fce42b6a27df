"""Exercise 24: inverted dropout, the same mask going back, the flag passed on, and an evaluation that restores the mode."""

import torch

import scratchnet.nn.functional as F
from scratchnet import nn
from scratchnet.course import drawn, task
from scratchnet.course.calls import names_in


def what_becomes_of_ones(dropout):
    x = [torch.ones(20_000) for _ in range(3)]
    y, again = dropout(x[0], 0.25, True), dropout(x[1], 0.25, True)
    zeros = lambda y: round((y == 0).double().mean().item(), 1)
    return {
        "the values that ones become with p = 0.25": torch.unique(y).tolist(),
        "the share of zeros, to one digit, with p = 0.1": zeros(dropout(x[2], 0.1, True)),
        "two calls give the same": torch.equal(y, again),
        "the share of zeros that a second call has where the first has them": zeros(again[y == 0]),
        "not training, 1 2 3 become": dropout(drawn(torch.tensor([1.0, 2.0, 3.0])), 0.5, False),
        "with p = 0, 1 2 3 become": dropout(drawn(torch.tensor([1.0, 2.0, 3.0])), 0.0, True),
        "x after the call is what it was": bool((x[0] == 1).all()),
        "torch's dropout does it": bool(names_in(dropout) & {"dropout", "dropout_", "Dropout", "native_dropout"}),
    }


@task(
    facts=what_becomes_of_ones,
    hints=(
        "Evenly drawn numbers between 0 and 1 are below p with probability p. Those places are dropped.",
        "kept has True where x stays; times x it gives 0 where it is False. What stays is divided by 1 - p.",
        "if not training: return x; kept = torch.rand_like(x) >= p; return x * kept / (1 - p)",
    ),
)
def dropout(x, p, training):
    if not training:
        return x
    kept = torch.rand_like(x) >= p
    return x * kept / (1 - p)


@dropout.mistake
def not_scaled(x, p, training):
    """What stays was not made larger, so the next layer's sums shrink while training. Divide by 1 - p."""
    return x * (torch.rand_like(x) >= p) if training else x


@dropout.mistake
def p_is_kept(x, p, training):
    """p is the probability of being dropped. You used it as the probability of being kept."""
    return x * (torch.rand_like(x) < p) / (1 - p) if training else x


@dropout.mistake
def p_is_kept_and_divided_by(x, p, training):
    """p is the probability of being dropped. You used it as the probability of being kept."""
    return x * (torch.rand_like(x) < p) / p if training else x


@dropout.mistake
def scaled_the_wrong_way(x, p, training):
    """What stays has to become larger to make up for what is gone: divide by 1 - p instead of multiplying."""
    return x * (torch.rand_like(x) >= p) * (1 - p) if training else x


@dropout.mistake
def always_on(x, p, training):
    """Numbers were dropped although training is False: then the result is x itself."""
    return x * (torch.rand_like(x) >= p) / (1 - p)


@dropout.mistake
def scaled_in_evaluation(x, p, training):
    """While training, x was already divided by 1 - p. Scaling in evaluation too makes up for the same loss twice."""
    return x * (torch.rand_like(x) >= p) / (1 - p) if training else x * (1 - p)


@dropout.mistake
def overwrites_x(x, p, training):
    """The result is right, but x has changed: `*=`, x[...] = 0 and operations with `_` at the end write into it. Make a new
    tensor."""
    if training:
        x *= (torch.rand_like(x) >= p) / (1 - p)
    return x


@dropout.mistake
def the_same_mask_every_time(x, p, training):
    """Both calls dropped the same places. A seed that is set inside the function starts the random numbers anew in each call:
    leave it out, and every call draws its own."""
    generator = torch.Generator().manual_seed(0)
    return x * (torch.rand(x.shape, generator=generator) >= p) / (1 - p) if training else x


@dropout.mistake
def torch_does_it(x, p, training):
    """The result is right, but torch's dropout computed it. Draw the mask and scale what stays yourself."""
    return F.dropout(x, p, training)


def gradients(dropout_backward):
    g = drawn(torch.tensor([1.0, 2.0, 3.0, -4.0]))
    return {"dx for g = 1, 2, 3, -4, p = 0.2": dropout_backward(g, torch.tensor([True, False, True, True]), 0.2)}


@task(
    facts=gradients,
    hints=(
        "Forward multiplied every entry by a number: 0 or 1 / (1 - p). What does that do to the gradient?",
        "It is multiplied by the same number.",
        "g * kept / (1 - p)",
    ),
)
def dropout_backward(g, kept, p):
    return g * kept / (1 - p)


@dropout_backward.mistake
def mask_alone(g, kept, p):
    """Forward also divided by 1 - p, so the gradient is divided by it too."""
    return g * kept


@dropout_backward.mistake
def everything_passes(g, kept, p):
    """What was dropped had no effect on the loss, so its gradient is 0: multiply by the mask."""
    return g / (1 - p)


@dropout_backward.mistake
def the_others(g, kept, p):
    """The gradient went to the entries that were dropped. `kept` is True where x stayed."""
    return g * ~kept / (1 - p)


@dropout_backward.mistake
def undone(g, kept, p):
    """Backward does not undo the scaling: a result that moves 1 / (1 - p) as fast has a gradient that much larger."""
    return g * kept * (1 - p)


def in_both_modes(Block):
    block = Block(3, 500, 0.25)
    with torch.no_grad():
        block.linear.weight.zero_()
        block.linear.bias.fill_(3.0)
    training = block(torch.ones(4, 3))
    evaluating = block.eval()(torch.ones(4, 3))
    return {
        "in training mode 3 becomes": torch.unique(training).tolist(),
        "in evaluation mode 3 becomes": torch.unique(evaluating).tolist(),
        "about a quarter is dropped": bool(abs((training == 0).double().mean() - 0.25) < 0.05),
    }


@task(
    facts=in_both_modes,
    hints=(
        "F.dropout does not know the mode of your module. The module does.",
        "Its flag is self.training. F.dropout takes p and then the flag.",
        "F.dropout(h, self.p, self.training)",
    ),
)
class Block(nn.Module):
    def __init__(self, features, units, p):
        super().__init__()
        self.linear = nn.Linear(features, units)
        self.p = p

    def forward(self, x):
        return F.dropout(F.relu(self.linear(x)), self.p, self.training)


@Block.mistake
class StuckInTraining(Block.solution):
    """In evaluation mode it still drops: F.dropout is on unless you give it the flag, self.training."""

    def forward(self, x):
        return F.dropout(F.relu(self.linear(x)), self.p)


@Block.mistake
class DefaultProbability(Block.solution):
    """self.p was not used: F.dropout(h, training=...) drops half, its default."""

    def forward(self, x):
        return F.dropout(F.relu(self.linear(x)), training=self.training)


@Block.mistake
class TheWrongWayRound(Block.solution):
    """It drops in evaluation mode and not in training mode: the flag is True while training, no `not` is needed."""

    def forward(self, x):
        return F.dropout(F.relu(self.linear(x)), self.p, not self.training)


@Block.mistake
class OffForGood(Block.solution):
    """Nothing is ever dropped: the flag says training=False, or p is 0. Pass both, self.p and self.training."""

    def forward(self, x):
        return F.relu(self.linear(x))


def a_visit(answer):
    model = nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5), nn.Linear(50, 2))
    x = torch.randn(4, 3)
    same = torch.equal(answer(model.train(), x), answer(model, x))
    after_training = model.training
    y = answer(model.eval(), x)
    return {
        "the same question twice, the same answer": same,
        "autograd recorded the answer": y.requires_grad,
        "the shape of the answer": tuple(y.shape),
        "a model in training mode is in training mode afterwards": after_training,
        "a model in evaluation mode is in training mode afterwards": model.training,
    }


@task(
    facts=a_visit,
    hints=(
        "Two switches, and one of them has to be put back. Which mode was it?",
        "Keep model.training before you call model.eval(); model.train(mode) takes True or False.",
        "mode = model.training; model.eval(); with torch.no_grad(): y = model(x); model.train(mode); return y",
    ),
)
def answer(model, x):
    mode = model.training
    model.eval()
    with torch.no_grad():
        y = model(x)
    model.train(mode)
    return y


@answer.mistake
def without_eval(model, x):
    """The same question got two answers: dropout is on. no_grad() stops autograd, not dropout; call model.eval()."""
    with torch.no_grad():
        return model(x)


@answer.mistake
def still_recording(model, x):
    """Autograd recorded the answer, and keeps memory for a backward that never comes. eval() does not stop it: no_grad()."""
    mode = model.training
    y = model.eval()(x)
    model.train(mode)
    return y


@answer.mistake
def left_in_evaluation(model, x):
    """The model stays in evaluation mode, so training goes on without dropout. Put the mode back."""
    with torch.no_grad():
        return model.eval()(x)


@answer.mistake
def always_training_afterwards(model, x):
    """A model that came in evaluation mode left in training mode. Restore the mode it had: model.train(mode)."""
    with torch.no_grad():
        y = model.eval()(x)
    model.train()
    return y

"""A language model's loss without its logits: the same loss and gradients, and logits for whoever reads them."""

import copy
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as torchs
from test_lookalikes import causal, smoothed
from torch.testing import assert_close

import scratchnet
from scratchnet import nn, optim
from scratchnet.accelerate.head import Head, Logits, later

WORDS, WIDTH = 13, 6
pytestmark = pytest.mark.usefixtures("cpp")


class Output(NamedTuple):
    loss: torch.Tensor | None
    logits: torch.Tensor


class Model(torch.nn.Module):
    """As those of Transformers: a head with a name, and a loss in the model. `post`: what it does to its logits."""

    loss_function = staticmethod(causal)

    def __init__(self, post=lambda logits: logits, bias=False, tied=True, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(0)
        self.embed = torch.nn.Embedding(WORDS, WIDTH, dtype=dtype)
        self.body = torch.nn.Linear(WIDTH, WIDTH, dtype=dtype)
        self.head, self.post = torch.nn.Linear(WIDTH, WORDS, bias, dtype=dtype), post
        if tied:
            self.head.weight = self.embed.weight

    def get_output_embeddings(self):
        return self.head

    def forward(self, words, labels=None, **options):
        logits = self.post(self.head(self.body(self.embed(words))))
        loss = None if labels is None else self.loss_function(logits=logits, labels=labels, vocab_size=WORDS, **options)
        return Output(loss, logits)


def words():
    return torch.randint(WORDS, (3, 7), generator=torch.Generator().manual_seed(1))


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("options", [{}, {"num_items_in_batch": 5}, {"ignore_index": 3}], ids=str)
@pytest.mark.parametrize("form", [{}, {"bias": True}, {"tied": False}, {"post": torch.Tensor.float}], ids=str)
def test_the_loss_needs_no_logits(linears, form, options):
    plain = Model(**form)
    model = copy.deepcopy(plain)
    report = scratchnet.accelerate(model)
    assert report.loss == (
        "scratchnet's cross_entropy now, as the model's loss_function, without logits: they are made when they are read; "
        "in torch.compile(fullgraph=True), at once"
    )
    ours, theirs = (m(words(), words(), **options) for m in (model, plain))
    assert ours.logits.shape == (3, 7, WORDS) and ours.logits.requires_grad and ours.logits.dtype == torch.float32
    assert_close(ours.loss, theirs.loss)
    assert_close(gradients(model, ours.loss), gradients(plain, theirs.loss))
    assert linears == [] and isinstance(ours.logits, torch.Tensor) and ours.logits.made is None
    assert_close(ours.logits.argmax(-1), theirs.logits.argmax(-1))
    assert linears == [1]
    assert_close(torch.stack([*ours.logits[0]]), torch.stack([*theirs.logits[0]]))
    assert linears == [1]  # they are made once
    report.undo()
    assert type(model.head) is torch.nn.Linear and model.loss_function is causal and type(model(words()).logits) is torch.Tensor


def test_bfloat16():
    """Exact for these hidden states and weights, while the logits of the plain model are rounded to bfloat16."""
    plain = Model(dtype=torch.bfloat16)
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    ours, theirs = (m(words(), words()) for m in (model, plain))
    assert isinstance(ours.logits, Logits) and ours.loss.dtype == theirs.loss.dtype == torch.float32
    hidden, weight, _ = ours.logits.parts
    exact = causal(torchs.linear(hidden.double(), weight.double()), words(), WORDS)
    assert_close(ours.loss, exact, atol=0, rtol=1e-6)
    rounding = torch.finfo(torch.bfloat16).eps / 2 * theirs.logits.abs().max().item()  # of a logit; two are in each loss
    assert_close(theirs.loss, exact, atol=2 * rounding, rtol=0)


class Square(torch.autograd.Function):
    """A loss in C++'s eyes: no function of torch sees the logits before it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square().sum()

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad * ctx.saved_tensors[0]


def twice(logits):
    """The first reader has no gradient, the second one does."""
    with torch.no_grad():
        logits.argmax(-1)
    return logits.square().sum()


def hooked(logits):
    logits.register_hook(lambda grad: 3 * grad)
    return logits.square().sum()


LOSSES = {
    "sliced": lambda logits: torchs.cross_entropy(logits[:, :-1].flatten(0, 1), words()[:, 1:].flatten()),
    "smoothed": lambda logits: smoothed(logits, words(), WORDS),
    "ours": lambda logits: nn.functional.cross_entropy(logits.flatten(0, 1), words().flatten()),
    "in place": lambda logits: logits.mul_(2).exp_().sum(),
    "Function": Square.apply,
    "Function of capped": lambda logits: Square.apply(torch.tanh(logits / 2) * 2),
    "hook on capped": lambda logits: hooked(logits / 2),
    "list": lambda logits: torch.cat([logits, logits]).square().sum(),
    "numpy": lambda logits: torch.as_tensor(logits.detach().numpy()).sum() * logits.sum(),
    "twice": twice,
    "hook": hooked,
    "checkpoint": lambda logits: torch.utils.checkpoint.checkpoint(torch.square, logits, use_reentrant=True).sum(),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bias", [False, True])
def test_another_loss_reads_them(name, bias):
    plain = Model(bias=bias, dtype=torch.float64)
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    losses = [LOSSES[name](m(words()).logits) for m in (model, plain)]
    assert_close(*losses)
    found = [gradients(m, loss) for m, loss in zip((model, plain), losses, strict=True)]
    assert_close(*found, rtol=1e-6, atol=1e-7)  # one of the losses is in float32


def test_logits_that_the_model_changes_are_made(linears):
    plain = Model(post=lambda logits: 2 * torch.sin(logits))
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    ours, theirs = (m(words(), words()) for m in (model, plain))
    assert_close(ours.loss, theirs.loss)
    assert_close(gradients(model, ours.loss), gradients(plain, theirs.loss))
    assert type(ours.logits) is torch.Tensor and linears == [1]


@pytest.mark.parametrize("optimizer", [optim.AdamW, torch.optim.SGD])
def test_logits_of_a_model_that_has_changed_are_refused(optimizer):
    model = Model()
    step = optimizer(model.parameters(), lr=0.1)
    scratchnet.accelerate(model)
    output = model(words(), words())
    output.loss.backward()
    step.step()
    with pytest.raises(
        RuntimeError, match=r"^accelerate\(\): argument 'logits': .* before optimizer.step\(\), or .*logits=True"
    ):
        output.logits.sum()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: None, "logits=True"),
        (lambda model: setattr(model, "get_output_embeddings", lambda: None), "the model names no head"),
        (lambda model: setattr(model, "head", torch.nn.Sequential(model.head)), "the head is no plain Linear"),
    ],
    ids=["logits=True", "none", "inside another"],
)
def test_heads_that_are_left(linears, change, reason):
    model = Model()
    change(model)
    report = scratchnet.accelerate(model, logits=reason == "logits=True")
    assert report.loss.endswith(f"loss_function; with logits: {reason}")
    assert type(model(words(), words()).logits) is torch.Tensor and linears == [1]


def test_where_logits_are_made_at_once():
    model = Model()
    scratchnet.accelerate(model)
    assert type(model.head) is Head
    x = torch.randn(2, WIDTH, requires_grad=True)
    assert type(model.head(x)) is Logits
    with torch.no_grad():
        assert type(model.head(x)) is torch.Tensor
    with torch.autocast("cpu"):
        assert type(copy.deepcopy(model.head).double()(x.double())) is torch.Tensor
    assert type(torch.func.vmap(model.head)(x)) is torch.Tensor
    assert_close(torch.func.grad(lambda x: model.head(x).sum())(x), model.head.weight.sum(0).expand(2, -1))
    with model.head.register_full_backward_hook(lambda *_: None):
        assert type(model.head(x)) is not Logits


def test_copies_and_decelerate():
    model = Model()
    scratchnet.accelerate(model)
    copied = copy.deepcopy(model)
    assert type(copied.head) is Head and len(scratchnet.accelerate(model).swapped) == 0
    assert scratchnet.decelerate(copied) == 3 and type(copied.head) is torch.nn.Linear


def test_second_derivatives():
    x, w, b = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 4), (5, 4), (5,)))
    assert torch.autograd.gradcheck(lambda *parts: later(*parts).tanh(), (x, w, b))
    assert torch.autograd.gradgradcheck(lambda *parts: later(*parts).tanh(), (x, w, b))
    assert torch.autograd.gradgradcheck(lambda *parts: 2 * torch.tanh(later(*parts) / 2).sin(), (x, w, b))
    assert torch.autograd.gradcheck(lambda *parts: Square.apply(2 * torch.tanh(later(*parts) / 2)), (x, w, b))

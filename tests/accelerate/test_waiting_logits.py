"""Where the logits of a language model still wait: when it scales or caps them, under autocast, and outside compiled graphs."""

import copy

import pytest
import torch
import torch.nn.functional as torchs
from test_head import WORDS, Model, gradients, words
from test_lookalikes import causal
from torch.testing import assert_close

import scratchnet
from scratchnet.accelerate.head import Logits, later

pytestmark = pytest.mark.usefixtures("cpp")
CAPPED = {
    "Gemma": lambda logits: torch.tanh(logits / 0.3) * 0.3,
    "nanochat": lambda logits: 3 * torch.tanh(logits / 3),
    "RecurrentGemma": lambda logits: torchs.tanh(logits.float() / 0.7) * 0.7,
    "no division": lambda logits: logits.tanh() * 2,
    "no product": lambda logits: torch.tanh(logits * 2.5),
    "Cohere": lambda logits: logits * 0.0625,
    "Granite": lambda logits: logits.div(8).float(),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", CAPPED)
def test_the_loss_of_logits_that_a_model_caps_or_scales(linears, name, bias):
    plain = Model(CAPPED[name], bias, dtype=torch.float32)
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    ours, theirs = (m(words(), words()) for m in (model, plain))
    assert isinstance(ours.logits, Logits) and ours.logits.requires_grad and ours.logits.shape == (3, 7, WORDS)
    assert_close(ours.loss, theirs.loss)
    assert_close(gradients(model, ours.loss), gradients(plain, theirs.loss))
    assert linears == [] and ours.logits.made is None
    assert torch.equal(ours.logits.argmax(-1), theirs.logits.argmax(-1))
    assert_close(ours.logits + 0, theirs.logits)
    assert linears == [1] and ours.logits.before[0].made is None  # only what was asked for is kept
    with torch.no_grad():
        assert_close(model(words()).logits, theirs.logits)


@pytest.mark.parametrize(
    "post",
    [
        lambda logits: -1 * torch.tanh(logits / 3),
        lambda logits: torch.tanh(torch.tanh(logits)),
        lambda logits: torch.tanh(logits / torch.tensor(3.0)),
        lambda logits: torch.div(logits, 0.01, rounding_mode="floor") * logits,
    ],
    ids=["negative", "twice", "tensor", "floor"],
)
def test_logits_that_become_something_else_are_made(post):
    plain = Model(post)
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    ours, theirs = (m(words(), words()) for m in (model, plain))
    assert type(ours.logits) is torch.Tensor
    assert_close(ours.loss, theirs.loss)
    assert_close(gradients(model, ours.loss), gradients(plain, theirs.loss))


def test_capped_logits_do_not_see_what_happens_to_those_before():
    """As in eager code: a change in place comes after the division, and either may be read first."""
    x, w = torch.randn(2, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    for first in (True, False):
        logits, plain = later(x, w, None), torchs.linear(x, w)
        capped, wanted = torch.tanh(logits / 2), torch.tanh(plain / 2)
        if first:
            assert_close(capped.sum(), wanted.sum())
        logits.mul_(3), plain.mul_(3)
        found = [torch.autograd.grad((a * b.square()).sum(), (x, w)) for a, b in ((logits, capped), (plain, wanted))]
        assert_close(*found)


def assert_no_worse(ours, torchs_own, exact):
    """The largest error of each named tensor is at most twice torch's own, and what float32 rounds."""
    for name, value in exact.items():
        error, bound = ((found[name] - value).abs().max() for found in (ours, torchs_own))
        assert error <= 2 * bound + 1e-6, name


def test_bfloat16_autocast():
    """Exact for the hidden states that autocast has rounded, while torch rounds weight and logits too."""
    plain = Model(tied=False)
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = (m(words(), words()) for m in (model, plain))
    assert isinstance(ours.logits, Logits) and ours.logits.dtype == theirs.logits.dtype == torch.bfloat16
    hidden, weight, _ = ours.logits.parts
    assert hidden.dtype == torch.bfloat16 and weight is model.head.weight
    exact = causal(torchs.linear(hidden.double(), weight.double()), words(), WORDS)
    assert ours.loss.dtype == torch.float32
    assert_close(ours.loss, exact, atol=0, rtol=1e-6)
    mine, torchs_own = (gradients(m, result.loss) for m, result in ((model, ours), (plain, theirs)))
    wide = plain.double()
    assert_no_worse(mine, torchs_own, gradients(wide, wide(words(), words()).loss))
    assert ours.logits.made is None
    assert torch.equal(ours.logits + 0, theirs.logits)  # read outside of autocast, in its dtype


@pytest.mark.parametrize("bias", [False, True])
def test_another_loss_reads_them_under_autocast(bias):
    plain = Model(bias=bias)
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    found = []
    for m, low in ((model, True), (plain, True), (copy.deepcopy(plain).double(), False)):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = torchs.cross_entropy(m(words()).logits.flatten(0, 1), words().flatten())
        found.append({"loss": loss} | dict(gradients(m, loss)))
    assert_no_worse(*found)


@pytest.mark.filterwarnings("error:Dynamo does not know")
@pytest.mark.parametrize(
    ("post", "fullgraph"),
    [(lambda logits: logits, False), (CAPPED["Gemma"], False), (CAPPED["Gemma"], True)],
    ids=["plain", "capped", "fullgraph"],
)
def test_compiled(linears, post, fullgraph):
    """The logits stay outside of a graph that may be left; else they are made in it."""
    plain = Model(post)
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    torch.compiler.reset()  # code of the same forward that left its graph would do
    compiled = torch.compile(model, backend="aot_eager", fullgraph=fullgraph)
    for _ in range(2):
        ours, theirs = compiled(words(), words()), plain(words(), words())
        assert_close(ours.loss, theirs.loss)
        assert_close(gradients(model, ours.loss), gradients(plain, theirs.loss))
    assert (type(ours.logits) is torch.Tensor) == fullgraph == bool(linears)
    assert_close(ours.logits.sum(), theirs.logits.sum())
    with torch.no_grad():
        assert_close(compiled(words()).logits, theirs.logits)


@pytest.mark.full
def test_a_compiled_loss_that_reads_them():
    model = Model()
    scratchnet.accelerate(model)

    def loss(words):
        return torchs.cross_entropy(model(words).logits.flatten(0, 1), words.flatten())

    eager = loss(words())
    compiled = torch.compile(loss, backend="aot_eager")(words())
    assert_close(compiled, eager)
    assert_close(gradients(model, compiled), gradients(model, eager))


@pytest.mark.full
def test_compiled_under_autocast():
    model = Model()
    scratchnet.accelerate(model)
    with torch.autocast("cpu", torch.bfloat16):
        eager = model(words(), words())
        ours = torch.compile(model, backend="aot_eager")(words(), words())
    assert isinstance(ours.logits, Logits) and ours.logits.dtype == torch.bfloat16
    assert_close(ours.loss, eager.loss)
    assert_close(gradients(model, ours.loss), gradients(model, eager.loss))

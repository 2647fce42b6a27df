"""Where the logits of a language model still wait: when it scales or caps them, under autocast, and outside compiled graphs."""

import copy

import pytest
import torch
import torch.nn.functional as torchs
from test_head import WORDS, Model, gradients, words
from test_lookalikes import causal
from torch.testing import assert_close

import scratchnet
from scratchnet import nn
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


LABELS = words().roll(1, 1).masked_fill(words() % 3 == 0, -100)  # as of masked words: most others are not asked for
GIVEN = {
    "BERT": lambda logits: torchs.cross_entropy(logits.view(-1, WORDS), LABELS.view(-1)),
    "DistilBERT": lambda logits: nn.CrossEntropyLoss()(logits.view(-1, logits.size(-1)), LABELS.view(-1)),
    "ModernBERT": lambda logits: torchs.cross_entropy(logits.float().view(-1, WORDS), LABELS.view(-1), reduction="sum") / 5,
    "T5": lambda logits: torch.nn.CrossEntropyLoss(ignore_index=3)(logits.view(-1, logits.size(-1)), words().view(-1)),
    "GPT-Neo": lambda logits: torch.nn.CrossEntropyLoss()(
        logits[..., :-1, :].contiguous().view(-1, WORDS), words()[..., 1:].contiguous().view(-1)
    ),
    "minGPT": lambda logits: torchs.cross_entropy(logits[:, :-1].flatten(0, 1), words()[:, 1:].flatten()),
    "Marian": lambda logits: torch.nn.CrossEntropyLoss(label_smoothing=0.1)(logits.reshape(21, WORDS), LABELS.reshape(21)),
}


@pytest.mark.parametrize("post", [lambda logits: logits, CAPPED["Gemma"]], ids=["plain", "capped"])
@pytest.mark.parametrize("name", GIVEN)
def test_torchs_cross_entropy_of_whole_rows_needs_no_logits(linears, name, post):
    """As models of Transformers write it that do not use their loss_function."""
    plain = Model(post, bias=True)
    plain.loss_function = lambda logits, labels, **options: logits.sum()
    model = copy.deepcopy(plain)
    report = scratchnet.accelerate(model)
    assert report.loss.startswith("left: ") and "torch's cross_entropy of its logits goes without them" in report.loss
    ours, theirs = (m(words()).logits for m in (model, plain))
    losses = [GIVEN[name](logits) for logits in (ours, theirs)]
    assert_close(*losses)
    assert_close(*(gradients(m, loss) for m, loss in zip((model, plain), losses, strict=True)))
    assert linears == [] and ours.made is None
    assert_close(ours + 0, theirs)


READ = {
    "class weights": lambda logits: torchs.cross_entropy(logits.view(-1, WORDS), words().view(-1), torch.arange(WORDS) / 5.0),
    "probabilities": lambda logits: torchs.cross_entropy(logits.view(-1, WORDS), torch.ones(21, WORDS) / WORDS),
    "classes second": lambda logits: torchs.cross_entropy(logits.mT, words()),
    "half of the classes": lambda logits: torchs.cross_entropy(logits[..., :7].reshape(-1, 7), words().view(-1) % 7),
    "the last classes": lambda logits: torchs.cross_entropy(logits[:, :, -7:].reshape(-1, 7), words().view(-1) % 7),
    "other rows": lambda logits: torchs.cross_entropy(logits.view(-1, 7), torch.arange(39) % 7),
    "bits": lambda logits: (logits.view(torch.int32) < 0).sum() * logits.sum(),
    "one word": lambda logits: logits[0, 1].square().sum() + logits[..., None, :, :].sum() + logits[:, :, None].sum(),
}


@pytest.mark.parametrize("name", READ)
def test_other_losses_read_them(name):
    plain = Model()
    model = copy.deepcopy(plain)
    scratchnet.accelerate(model)
    losses = [READ[name](m(words()).logits) for m in (model, plain)]
    assert_close(*losses)
    assert_close(*(gradients(m, loss) for m, loss in zip((model, plain), losses, strict=True)))


VIEWS = {
    "rows": lambda logits: logits.view(-1, 5),
    "slice": lambda logits: logits[:, 1:],
    "copy": lambda logits: logits[:, 1:].contiguous(),
    "scaled": lambda logits: logits.flatten(0, 1) * 2,
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("changed", [0, 1])
def test_a_view_of_waiting_logits_is_a_view(name, changed):
    """What changes one in place changes the other, unless it is a copy."""
    x, w = torch.randn(2, 3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    found = []
    for logits in (later(x, w, None), torchs.linear(x, w)):
        pair = logits, VIEWS[name](logits)
        pair[changed][1] = 0.5
        rows = pair[1].reshape(-1, 5)
        loss = torchs.cross_entropy(rows, torch.arange(len(rows)) % 5) + pair[0].square().sum()
        found.append([loss, *torch.autograd.grad(loss, (x, w))])
    assert_close(*found)

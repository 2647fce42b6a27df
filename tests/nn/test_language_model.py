"""TransformerLM against the same network in plain torch.nn; causality, generation, and that it learns."""

import copy

import pytest
import torch
from torch.testing import assert_close

import scratchnet
from scratchnet import nn, optim

V, C, HEADS, LAYERS, T = 11, 8, 2, 2, 6


class Plain(torch.nn.Module):
    """The model in torch's own layers: an encoder layer with a causal mask is a decoder-only block."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = torch.nn.Embedding(V, C), torch.nn.Embedding(T, C)
        self.blocks = torch.nn.ModuleList(
            torch.nn.TransformerEncoderLayer(C, HEADS, 4 * C, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(LAYERS)
        )
        self.norm, self.head = torch.nn.LayerNorm(C), torch.nn.Linear(C, V, bias=False)

    def forward(self, tokens):
        length = tokens.shape[1]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(length)
        x = self.tokens(tokens) + self.positions.weight[:length]
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


NAMES = {  # ours -> Plain's
    "token_embedding": "tokens",
    "position_embedding": "positions",
    "attention": "self_attn",
    "feed_forward.up": "linear1",
    "feed_forward.down": "linear2",
}


def plain_name(name):
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name


def model(**kwargs):
    built = nn.TransformerLM(V, C, HEADS, LAYERS, T, **kwargs)
    for parameter in built.parameters():  # every weight matters
        torch.nn.init.normal_(parameter, std=0.5)
    return built


def tokens(batch=3, length=T):
    return torch.randint(V, (batch, length))


@pytest.mark.parametrize("length", [1, T])
@pytest.mark.parametrize("tie_weights", [True, False])
def test_equals_the_plain_network(tie_weights, length):
    ours, theirs = model(tie_weights=tie_weights), Plain()
    if tie_weights:
        theirs.head.weight = theirs.tokens.weight
    theirs.load_state_dict({plain_name(name): value for name, value in ours.state_dict().items()}, strict=True)
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    x, y = tokens(length=length), tokens(length=length)
    y[0, 0] = -100
    logits = theirs(x)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    expected = dict(zip(dict(theirs.named_parameters()), torch.autograd.grad(loss, list(theirs.parameters())), strict=True))
    assert_close(ours(x), logits)
    mine = ours.loss(x, y)
    assert_close(mine, loss)
    for (name, _), grad in zip(ours.named_parameters(), torch.autograd.grad(mine, list(ours.parameters())), strict=True):
        assert_close(grad, expected[plain_name(name)])


def test_compiled():
    lm, x, y = model(), tokens(), tokens()
    losses = [run(x, y) for run in (torch.compile(lm.loss, backend="aot_eager", fullgraph=True), lm.loss)]
    assert_close(*losses)
    assert_close(*(torch.autograd.grad(loss, list(lm.parameters())) for loss in losses))


def test_a_later_token_changes_nothing_earlier():
    lm = model()
    x = tokens(1)
    before = lm(x)
    for t in range(T):
        y = x.clone()
        y[0, t] = (y[0, t] + 1) % V
        after = lm(y)
        assert torch.equal(before[:, :t], after[:, :t])
        assert not torch.isclose(before[:, t:], after[:, t:]).all(-1).any()


def test_dropout_from_a_seed_is_one_pass_with_the_residual():
    """The same numbers as in two passes, which hooks make of it."""
    lm = model(dropout=0.5).train()
    for layer in lm.modules():
        if isinstance(layer, nn.Dropout):
            layer.redraw = True
    results, calls = [], []
    for hooked in (False, True):
        for block in lm.blocks if hooked else ():
            block.dropout.register_forward_hook(lambda *_: calls.append(None))
        torch.manual_seed(4)
        y = lm(tokens(2))
        results.append((y, torch.autograd.grad(y.square().sum(), list(lm.parameters()))))
    assert len(calls) == 2 * LAYERS
    assert_close(results[0], results[1])


def test_generation():
    lm = model(dropout=0.5)
    x = tokens(2, 3)
    assert lm.training
    draws = [lm.generate(x, 9, temperature=0.8, top_k=4, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert lm.training and draws[0].shape == (2, 12) and not draws[0].requires_grad
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(draws[0][:, :3], x) and torch.equal(lm.generate(x, 0), x)
    state = torch.get_rng_state()
    greedy = lm.generate(x, 9, temperature=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(greedy, lm.generate(x, 9, top_k=1))
    lm.eval()
    for t in range(3, 12):  # the context is the last T tokens
        assert torch.equal(greedy[:, t], lm(greedy[:, max(0, t - T) : t])[:, -1].argmax(-1))
    assert not lm.training
    likeliest = lm(x)[:, -1].topk(4).indices
    first = {(row, int(lm.generate(x, 1, top_k=4)[row, -1])) for _ in range(20) for row in range(2)}
    assert first <= {(row, int(token)) for row in range(2) for token in likeliest[row]} and len(first) > 2


def test_frequencies_follow_the_softmax():
    lm = model().eval()
    x = tokens(1, 4)
    p = torch.softmax(lm(x)[0, -1] / 2, -1)
    drawn = lm.generate(x.expand(4000, -1), 1, temperature=2.0, generator=torch.Generator().manual_seed(0))[:, -1]
    share = torch.bincount(drawn, minlength=V) / 4000
    assert (share - p).abs().max() < 4 * (0.25 / 4000) ** 0.5  # four standard deviations at the widest


def test_the_start():
    """Logits near zero, so that the first loss is that of a uniform guess; small matrices, biases 0, norms the identity."""
    torch.manual_seed(3)
    lm = nn.TransformerLM(50, 32, 4, 2, 16)
    assert lm.head.weight is lm.token_embedding.weight
    assert abs(lm.loss(*torch.randint(50, (2, 4, 16))).item() - torch.tensor(50.0).log().item()) < 0.05
    assert all(p.std() < 0.03 for p in lm.parameters() if p.dim() > 1)
    vectors = {name: p for name, p in lm.named_parameters() if p.dim() == 1}
    assert all((p == (0 if name.endswith("bias") else 1)).all() for name, p in vectors.items())
    count = 50 * 32 + 16 * 32 + 2 * (12 * 32 * 32 + 13 * 32) + 2 * 32
    assert sum(p.numel() for p in lm.parameters()) == count


def test_overfits_a_tiny_text():
    text = "to be, or not to be, that is the question"
    letters = sorted(set(text))
    data = torch.tensor([letters.index(c) for c in text])
    lm = nn.TransformerLM(len(letters), 32, 4, 2, len(text))
    optimizer = optim.Adam(lm.parameters(), lr=5e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = lm.loss(data[None, :-1], data[None, 1:])
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    written = lm.generate(data[None, :6], len(text) - 6, temperature=0)[0]
    assert "".join(letters[i] for i in written) == text


def test_checkpoints_and_copies():
    lm = model(tie_weights=True)
    other = nn.TransformerLM(V, C, HEADS, LAYERS, T)
    other.load_state_dict(lm.state_dict())
    x = tokens()
    assert torch.equal(lm(x), other(x)) and torch.equal(lm(x), copy.deepcopy(lm)(x))
    assert copy.deepcopy(lm).head.weight is not lm.head.weight


def test_every_backend():
    lm, x = model(), tokens()
    expected = lm(x), lm.loss(x, x)
    for backend in ("cpp:1", "numpy", "reference", None):
        with scratchnet.backend(backend):
            assert_close((lm(x), lm.loss(x, x)), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda lm: lm.loss(tokens(), tokens(length=3)), r"loss.*targets.*\(3, 3\) and \(3, 6\)"),
        (lambda lm: lm.generate(tokens(1)[0], 2), r"generate.*tokens.*\(B, T\).*\(6,\)"),
        (lambda lm: lm.generate(tokens(1, 0), 2), r"tokens.*at least one token.*\(1, 0\)"),
        (lambda lm: lm.generate(tokens(), 2, temperature=-1.0), "temperature.*0 .the likeliest token. or more, got -1"),
        (lambda lm: lm.generate(tokens(), 2, temperature=float("nan")), "temperature.*got nan"),
        (lambda lm: lm.generate(tokens(), 2, top_k=0), "top_k.*at least 1.*got 0"),
        (lambda lm: lm.generate(tokens(), -1), "max_new_tokens.*0 or more, got -1"),
    ],
)
def test_wrong_calls(call, message):
    lm = model()
    with pytest.raises(ValueError, match=message):
        call(lm)
    assert lm.training


def test_generation_gives_every_part_its_mode_back():
    lm = model(dropout=0.5).train()
    lm.blocks[0].eval()
    before = {name: module.training for name, module in lm.named_modules()}
    lm.generate(tokens(1, 2), 2)
    assert {name: module.training for name, module in lm.named_modules()} == before
    lm.blocks[1].register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lm.generate(tokens(1, 2), 2)
    assert {name: module.training for name, module in lm.named_modules()} == before

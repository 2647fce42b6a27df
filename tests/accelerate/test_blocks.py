"""Blocks of other libraries that hold layers: one call of ours if they compute what it does, else what is inside is ours."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from test_lookalikes import LlamaNorm, NewGELU, Swish
from torch.nn import Module
from torch.testing import assert_close

import scratchnet
from scratchnet.accelerate.lookalikes import recognise


class LlamaMLP(Module):
    def __init__(self, size, hidden, act):
        super().__init__()
        self.gate_proj, self.up_proj = (torch.nn.Linear(size, hidden, bias=False) for _ in range(2))
        self.down_proj, self.act_fn = torch.nn.Linear(hidden, size, bias=False), act

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class BertOutput(Module):
    def __init__(self, hidden=15, size=6, p=0.5, norm=torch.nn.LayerNorm):
        super().__init__()
        self.dense, self.LayerNorm = torch.nn.Linear(hidden, size), norm(size)
        self.dropout = torch.nn.Dropout(p)

    def forward(self, hidden_states, input_tensor):
        hidden_states = self.dropout(self.dense(hidden_states))
        return self.LayerNorm(hidden_states + input_tensor)


def results(block, *inputs):
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    torch.manual_seed(5)
    y = block(*inputs)
    return [y, *torch.autograd.grad(y.square().sum(), [*inputs, *block.parameters()])]


def pair(hidden=15, size=6):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(4, 3, hidden, generator=generator), torch.randn(4, 3, size, generator=generator)


@pytest.mark.parametrize("act, name", [(Swish(), "silu"), (torch.nn.SiLU(), "silu"), (NewGELU(), "gelu_tanh")])
@pytest.mark.parametrize("hidden", [6, 15])
def test_a_gated_feed_forward_layer_is_one_call(act, name, hidden):
    """The three layers inside are ours as well, and are called: they may be adapted later, as by LoRA."""
    model, (_, x) = torch.nn.Sequential(LlamaMLP(6, hidden, act)), pair()
    expected = results(model, x)
    report = scratchnet.accelerate(model)
    assert report.computes["0"] == f"GatedFeedForward, gate_proj, up_proj, down_proj, {name}"
    assert type(model[0].up_proj) is scratchnet.nn.Linear and isinstance(model[0], LlamaMLP)
    assert_close(results(model, x), expected, rtol=2e-5, atol=2e-5)
    model[0].up_proj = torch.nn.Sequential(model[0].up_proj, torch.nn.Tanh())
    changed = results(model, x)
    report.undo()
    assert type(model[0]) is LlamaMLP
    assert_close(changed, results(model, x), rtol=2e-5, atol=2e-5)


class Sum(LlamaMLP):
    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) + self.up_proj(x))


class Dropping(LlamaMLP):
    """In eval mode, its dropout looks like an activation that nobody uses."""

    def __init__(self, size, hidden, act):
        super().__init__(size, hidden, torch.nn.Dropout(0.5))

    def forward(self, x):
        return self.act_fn(self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [Sum, Dropping])
def test_a_feed_forward_layer_of_another_form_is_only_what_holds_layers(kind, training):
    model = kind(6, 15, torch.nn.SiLU()).train(training)
    report = scratchnet.accelerate(model)
    assert type(model) is kind and report.left == [] and len(report.swapped) == 4
    assert all(inside.training == training for inside in model.modules())


@pytest.fixture
def sums(monkeypatch):
    """How many residual sums were made by the call that normalises them."""
    seen, add_layer_norm = [], scratchnet.nn.functional.add_layer_norm
    monkeypatch.setattr(scratchnet.nn.functional, "add_layer_norm", lambda *args: (seen.append(1), add_layer_norm(*args))[1])
    return seen


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "load", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["", "copy", "pickle"]
)
def test_a_residual_sum_and_its_norm_are_one_call(sums, load, training):
    """With the mask that torch's dropout draws."""
    model = BertOutput().train(training)
    torch.nn.init.normal_(model.LayerNorm.weight)
    before, expected = copy.deepcopy(model), results(model, *pair())
    report = scratchnet.accelerate(model)
    assert report.computes == {"(model)": "ResidualNorm, dense, dropout, LayerNorm"} and len(report.swapped) == 4
    ours = load(model)
    assert isinstance(ours, BertOutput) and all(inside.training == training for inside in ours.modules())
    assert_close(results(ours, *pair()), expected, rtol=2e-5, atol=2e-5)
    x, residual = pair()
    torch.manual_seed(5)
    assert_close(ours(input_tensor=residual, hidden_states=x), expected[0])
    assert sums == [1, 1]
    with torch.autocast("cpu", torch.bfloat16):
        found = [m.eval()(*pair()) for m in (ours, before)]
    exact = before.double()(*(t.double() for t in pair()))
    error, torchs = ((y - exact).abs().max() for y in found)  # both of bfloat16's products
    assert error <= 2 * torchs + 1e-6
    assert scratchnet.decelerate(ours) == 4 and type(ours) is BertOutput


class PreNorm(BertOutput):
    def forward(self, hidden_states, input_tensor):
        return self.LayerNorm(self.dropout(self.dense(hidden_states))) + input_tensor


class DropsTheSum(BertOutput):
    def forward(self, hidden_states, input_tensor):
        return self.LayerNorm(self.dropout(self.dense(hidden_states) + input_tensor))


class DropsTwice(BertOutput):
    def forward(self, hidden_states, input_tensor):
        return super().forward(self.dropout(hidden_states), input_tensor)


class Functional(BertOutput):
    """Whose dropout follows the mode of the block, not that of the layer."""

    def forward(self, hidden_states, input_tensor):
        return self.LayerNorm(F.dropout(self.dense(hidden_states), 0.1, self.training) + input_tensor)


class InPlace(BertOutput):
    def forward(self, hidden_states, input_tensor):
        return self.LayerNorm(input_tensor.add_(self.dropout(self.dense(hidden_states))))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [PreNorm, DropsTheSum, DropsTwice, Functional, InPlace])
def test_another_block_only_holds_layers(kind, training):
    model = kind().train(training)
    assert recognise(model) is None
    report = scratchnet.accelerate(model)
    assert type(model) is kind and report.left == [] and len(report.swapped) == 3


def test_another_norm_is_called(sums):
    """The block is recognised; what it calls is the norm that it has."""
    model = BertOutput(norm=LlamaNorm, p=0.0)
    expected = results(model, *pair())
    report = scratchnet.accelerate(model)
    assert report.computes["(model)"].startswith("ResidualNorm") and report.computes["LayerNorm"].startswith("RMSNorm")
    assert_close(results(model, *pair()), expected, rtol=2e-5, atol=2e-5)
    assert sums == []

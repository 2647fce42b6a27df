"""Layers of other libraries: swapped if they compute what ours do, in both modes and with the same gradients; else left."""

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch.nn import Module, Parameter

import scratchnet
from scratchnet.accelerate.lookalikes import LookAlike, recognise


class LlamaNorm(Module):
    def __init__(self, size, eps=1e-6):
        super().__init__()
        self.weight, self.variance_epsilon = Parameter(torch.ones(size)), eps

    def forward(self, hidden_states):
        dtype, x = hidden_states.dtype, hidden_states.to(torch.float32)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * x.to(dtype)


class GemmaNorm(LlamaNorm):
    def forward(self, x):
        y = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return (y * (1.0 + self.weight.float())).type_as(x)


class NanoNorm(Module):
    def __init__(self, size, bias):
        super().__init__()
        self.weight, self.bias = Parameter(torch.ones(size)), Parameter(torch.zeros(size)) if bias else None

    def forward(self, input):
        return F.layer_norm(input, self.weight.shape, self.weight, self.bias, 1e-5)


class TimmNorm(torch.nn.LayerNorm):
    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class NewGELU(Module):
    def forward(self, input):
        return 0.5 * input * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (input + 0.044715 * torch.pow(input, 3.0))))


class ErfGELU(Module):
    def forward(self, x):
        return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class Swish(Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class QuickGELU(Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class SquaredReLU(Module):
    def forward(self, x):
        return torch.relu(x).square()


class Conv1D(Module):
    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.weight, self.bias = nf, Parameter(torch.randn(nx, nf)), Parameter(torch.randn(nf))

    def forward(self, x):
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(x.size()[:-1] + (self.nf,))


class MyLinear(Module):
    def __init__(self, size, bias=True):
        super().__init__()
        self.weight, self.bias = Parameter(torch.randn(size, size)), Parameter(torch.randn(size)) if bias else None

    def forward(self, x):
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


KNOWN = {
    "RMSNorm": (lambda: LlamaNorm(24), 24, "RMSNorm, 1e-06, 0.0"),
    "RMSNorm, another epsilon": (lambda: LlamaNorm(7, 1e-5), 7, "RMSNorm, 1e-05, 0.0"),
    "RMSNorm, weight + 1": (lambda: GemmaNorm(24), 24, "RMSNorm, 1e-06, 1.0"),
    "LayerNorm": (lambda: NanoNorm(33, True), 33, "LayerNorm, 1e-05"),
    "LayerNorm without bias": (lambda: NanoNorm(33, False), 33, "LayerNorm, 1e-05"),
    "a subclass of torch's LayerNorm": (lambda: TimmNorm(16, eps=1e-6), 16, "LayerNorm, 1e-06"),
    "GELU by tanh": (NewGELU, 9, "Activation, gelu (tanh)"),
    "GELU by erf": (ErfGELU, 9, "Activation, gelu"),
    "SiLU": (Swish, 9, "Activation, silu"),
    "QuickGELU": (QuickGELU, 9, "Activation, quick_gelu"),
    "squared ReLU": (SquaredReLU, 9, "Activation, squared_relu"),
    "Conv1D": (lambda: Conv1D(12, 5), 5, "TransposedLinear"),
    "Conv1D, square": (lambda: Conv1D(6, 6), 6, "TransposedLinear"),
    "Linear": (lambda: MyLinear(6), 6, "Linear"),
    "Linear without bias": (lambda: MyLinear(6, False), 6, "Linear"),
}


def results(layer, size, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(4, 3, size, generator=generator).to(dtype).requires_grad_()
    y = layer(x)
    return [y, *torch.autograd.grad(y.float().square().sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("name", KNOWN)
def test_it_is_ours_and_what_it_was(name):
    build, size, what = KNOWN[name]
    model = torch.nn.Sequential(build()).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    expected, kind, state = results(model, size), type(model[0]), torch.get_rng_state()
    report = scratchnet.accelerate(model)
    assert (
        report.swapped == [("0", kind.__name__)] and report.computes == {"0": what} and f"scratchnet's: {what}" in str(report)
    )
    assert torch.equal(torch.get_rng_state(), state) and not model[0].training
    assert isinstance(model[0], kind) and isinstance(model[0], LookAlike) and type(model[0]).__name__ == kind.__name__
    for ours, theirs in zip(results(model, size), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5)
    assert scratchnet.accelerate(model).swapped == []
    report.undo()
    assert type(model[0]) is kind and "found" not in vars(model[0])
    assert all(map(torch.equal, results(model, size), expected))


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("load", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
def test_copies(name, load):
    build, size, _ = KNOWN[name]
    model = torch.nn.Sequential(build())
    kind = type(model[0])
    scratchnet.accelerate(model)
    copied = load(model)
    assert type(copied[0]) is type(model[0])
    assert all(map(torch.equal, results(copied, size), results(model, size)))
    assert scratchnet.decelerate(copied) == 1 and type(copied[0]) is kind and type(model[0]) is not kind


class StraightThrough(Module):
    """SiLU with another gradient."""

    def forward(self, x):
        return (F.silu(x) - x).detach() + x


class Noisy(Module):
    """SiLU in eval mode alone."""

    def forward(self, x):
        return F.dropout(F.silu(x), 0.1, self.training)


class Far(Module):
    """SiLU but for large numbers."""

    def forward(self, x):
        return F.silu(x).clamp(max=10.0)


class InFloat32(LlamaNorm):
    """RMSNorm whose 16-bit results are wider."""

    def forward(self, x):
        return super().forward(x.float())


class OtherAxis(LlamaNorm):
    def forward(self, x):
        return super().forward(x.mT).mT


class WithoutWeight(LlamaNorm):
    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, None, self.variance_epsilon)


class Counting(Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return F.silu(x)


class TwoInputs(Module):
    def forward(self, x, y):
        return F.silu(x) * y


@pytest.mark.parametrize("build", [
    StraightThrough, Noisy, Far, lambda: InFloat32(8), lambda: OtherAxis(3), lambda: WithoutWeight(8), Counting, TwoInputs,
    lambda: LlamaNorm(8, 0.02).to("meta"),
])  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
def test_what_is_not_shown_is_left(build, training):
    layer = build().train(training)
    kind, facts = type(layer), dict(vars(layer))
    assert recognise(layer) is None
    report = scratchnet.accelerate(layer)
    assert report.swapped == [] and type(layer) is kind and vars(layer) == facts
    assert report.left == [("(model)", kind.__name__, "no function of ours was shown to compute the same")]


def test_an_epsilon_that_is_no_usual_one_is_read_off_the_layer():
    (_, found) = recognise(LlamaNorm(8, 0.02))
    assert found == (0.02, 0.0)


def test_mixed_dtypes_are_the_librarys_affair():
    """Llama's float32 weights times bfloat16 numbers give float32; our rms_norm would refuse."""
    model, x = LlamaNorm(8), torch.randn(3, 8).bfloat16()
    expected = model(x)
    scratchnet.accelerate(model)
    assert torch.equal(model(x), expected) and model(hidden_states=x).dtype == torch.float32


def test_compiled():
    model, x = torch.nn.Sequential(Conv1D(8, 6), NewGELU(), LlamaNorm(8)), torch.randn(5, 6)
    expected = model(x)
    scratchnet.accelerate(model)
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), expected)


class LanguageModel(Module):
    """A model with Transformers' property."""

    def __init__(self, loss):
        super().__init__()
        self.head, self._loss = torch.nn.Linear(6, 11), loss

    @property
    def loss_function(self):
        return self._loss

    @loss_function.setter
    def loss_function(self, loss):
        self._loss = loss

    def forward(self, hidden, labels):
        logits = self.head(hidden)
        return self.loss_function(logits=logits, labels=labels, vocab_size=11, use_cache=False)


def causal(logits, labels, vocab_size, num_items_in_batch=None, ignore_index=-100, shift_labels=None, smoothing=0.0, **kwargs):
    if shift_labels is None:
        shift_labels = F.pad(labels, (0, 1), value=ignore_index)[..., 1:].contiguous()
    how = {"ignore_index": ignore_index, "label_smoothing": smoothing}
    reduction = "mean" if num_items_in_batch is None else "sum"
    loss = F.cross_entropy(logits.float().view(-1, vocab_size), shift_labels.view(-1), reduction=reduction, **how)
    return loss if num_items_in_batch is None else loss / num_items_in_batch


def smoothed(*args, **kwargs):
    return causal(*args, smoothing=0.1, **kwargs)


def test_the_loss_of_the_next_token():
    model, hidden, labels = LanguageModel(causal), torch.randn(3, 4, 6), torch.randint(11, (3, 4))
    expected = model(hidden, labels)
    with scratchnet.accelerate(model) as report:
        assert model.loss_function.__module__.startswith("scratchnet") and "cross_entropy" in report.loss
        torch.testing.assert_close(model(hidden, labels), expected)
        assert model(hidden.bfloat16().float(), labels).dtype == torch.float32
    assert model.loss_function is causal and type(model.head) is torch.nn.Linear
    assert scratchnet.accelerate(model, loss=False).loss == "" and model.loss_function is causal


@pytest.mark.parametrize("loss", [smoothed, lambda logits, labels: logits.sum(), F.cross_entropy])
def test_another_loss_stays(loss):
    model = LanguageModel(loss)
    assert scratchnet.accelerate(model).loss.startswith("left: ") and model.loss_function is loss

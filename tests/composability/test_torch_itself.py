"""Where torch's own functions run: when they are named, and where none of our kernels has been measured against them."""

import pytest
import torch
from cases import EXAMPLES, case

import scratchnet
from scratchnet import backends, optim
from scratchnet.functions import dispatch
from scratchnet.nn import functional as F


def of(name, example):
    """A call with float16 numbers, which our kernels take at every size when no backend is named."""
    return case(name, example, 40, 33, torch.float16)


def results(call, c):
    """Outputs and gradients."""
    outputs = call(*(leaves := c.leaves))
    reached = [y for y in outputs if y.requires_grad]
    return *outputs, *torch.autograd.grad(reached, leaves, [y.detach().sin() for y in reached])


def launched(monkeypatch) -> list:
    """A list of each call of one of our operators."""
    calls, plain = [], dispatch.Operator.__call__
    monkeypatch.setattr(dispatch.Operator, "__call__", lambda self, *args: calls.append(self.op.name) or plain(self, *args))
    return calls


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_ours_run_when_nothing_is_named(name, example, monkeypatch):
    c, calls = of(name, example), launched(monkeypatch)
    c.ours(*c.leaves)
    assert calls


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_torch_is_named(name, example, monkeypatch):
    """The same bits, and nothing of ours runs."""
    c, calls = of(name, example), launched(monkeypatch)
    with scratchnet.backend("torch"):
        torch.testing.assert_close(results(c.ours, c), results(c.torch, c), rtol=0, atol=0)
    assert not calls


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_without_the_compiled_module(name, example, monkeypatch):
    monkeypatch.setattr(dispatch, "_DEFAULT", backends.TORCH)
    c, calls = of(name, example), launched(monkeypatch)
    torch.testing.assert_close(results(c.ours, c), results(c.torch, c), rtol=0, atol=0)
    assert not calls


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_a_device_without_measured_kernels(name, example, monkeypatch):
    """ "meta" stands for every device but the CPU."""
    c, calls = of(name, example), launched(monkeypatch)
    c.tensors = [t.to("meta") for t in c.tensors]
    on_meta = lambda t: t.to("meta") if isinstance(t, torch.Tensor) and name != "recurrence" else t
    c.args, c.kwargs = tuple(map(on_meta, c.args)), {key: on_meta(value) for key, value in c.kwargs.items()}
    if name == "recurrence":
        pytest.skip("torch's recurrent layers do not run on meta tensors")
    ours, theirs = c.ours(*c.leaves), c.torch(*c.leaves)
    assert [(y.shape, y.dtype, y.device) for y in ours] == [(y.shape, y.dtype, y.device) for y in theirs]
    assert not calls


def test_what_torch_refuses_is_explained_by_us():
    with (
        scratchnet.backend("torch"),
        pytest.raises(RuntimeError, match=r"^linear\(\): argument 'input': .*did you mean weight.T"),
    ):
        F.linear(torch.ones(2, 3), torch.ones(3, 4))


@pytest.mark.parametrize("name", ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Muon"))
def test_steps_of_torchs_optimizers(name):
    """The same bits for ten steps, and the state is torch's."""
    torch.manual_seed(0)
    start, grads = torch.randn(7, 5), torch.randn(10, 7, 5)
    twins = []
    for library in (optim, torch.optim):
        param = torch.nn.Parameter(start.clone())
        optimizer = getattr(library, name)([param], lr=0.1)
        for grad in grads:
            param.grad = grad.clone()
            with scratchnet.backend("torch"):
                optimizer.step()
        twins.append((param.detach(), optimizer.state_dict()["state"]))
    torch.testing.assert_close(*twins, rtol=0, atol=0)

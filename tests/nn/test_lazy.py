"""Lazy layers become ours with their first input: the sizes, the draws and the state are torch's."""

import inspect
import pickle

import pytest
import torch
from torch.testing import assert_close

import scratchnet
from scratchnet import nn

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
IMAGE, LINE, VOLUME = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6), torch.randn(2, 3, 4, 4, 4)
CALLS = {
    "LazyLinear": ((5,), IMAGE),
    "LazyConv1d": ((4, 3), LINE),
    "LazyConv2d": ((4, 3, 2), IMAGE),
    "LazyBatchNorm1d": ((), LINE),
    "LazyBatchNorm2d": ((1e-3, 0.2), IMAGE),
    "LazyBatchNorm3d": ((), VOLUME),
    "LazyInstanceNorm1d": ((1e-4, 0.1, True, True), LINE),
    "LazyInstanceNorm2d": ((), IMAGE),
    "LazyInstanceNorm3d": ((), VOLUME),
}


def kind(name):
    return getattr(nn, name.removeprefix("Lazy"))


def test_every_layer_of_ours_that_torch_has_a_lazy_form_of():
    names = {name for name in dir(torch.nn) if name.startswith("Lazy")}
    assert {name for name in names if kind(name).__module__.startswith("scratchnet.")} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_first_call(name):
    arguments, x = CALLS[name]
    results = []
    for library in (nn, torch.nn):
        torch.manual_seed(3)
        layer = getattr(library, name)(*arguments)
        before = repr(layer)
        y = layer(x)
        results.append((before, repr(layer), y, dict(layer.state_dict()), torch.get_rng_state()))
        assert type(layer).__name__ == name.removeprefix("Lazy")
        if library is nn:
            assert type(layer) is kind(name)
            assert type(pickle.loads(pickle.dumps(layer))) is kind(name)
    for mine, own in zip(*results, strict=True):
        assert mine == own if isinstance(mine, str) else assert_close(mine, own) is None


@pytest.mark.parametrize("name", CALLS)
def test_signature(name):
    ours, theirs = (inspect.signature(getattr(library, name)) for library in (nn, torch.nn))
    assert str(ours) == str(theirs)


@pytest.mark.parametrize("name", [name for name in CALLS if "Instance" not in name])  # torch's forget their size there
def test_checkpoint_before_the_first_call(name):
    arguments, x = CALLS[name]
    layer, seen = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    seen(x)
    layer.load_state_dict(seen.state_dict())
    assert_close(layer(x), seen(x))
    assert type(layer) is kind(name)


def test_accelerated_before_the_first_call():
    """And given back after it."""
    model = torch.nn.Sequential(
        torch.nn.LazyConv2d(4, 3),
        torch.nn.LazyBatchNorm2d(),
        torch.nn.Flatten(),
        torch.nn.LazyLinear(5),
        torch.nn.LazyConv3d(2, 1),
    )
    plain = torch.nn.Sequential(
        torch.nn.LazyConv2d(4, 3), torch.nn.LazyBatchNorm2d(), torch.nn.Flatten(), torch.nn.LazyLinear(5)
    )
    report = scratchnet.accelerate(model)
    assert [name for name, _ in report.swapped] == ["0", "1", "2", "3"]
    assert [(name, layer) for name, layer, _ in report.left] == [("4", "LazyConv3d")]
    results = []
    for m in (model, plain):
        torch.manual_seed(5)
        results.append((m[:4](IMAGE), m[:4](2 * IMAGE), dict(m[:4].state_dict())))  # ours run from the second call on
    assert_close(*results)
    assert [type(layer) for layer in model[:4]] == [nn.Conv2d, nn.BatchNorm2d, nn.Flatten, nn.Linear]
    report.undo()
    assert [type(layer) for layer in model[:4]] == [type(layer) for layer in plain[:4]]


def test_given_back_before_the_first_call():
    model = torch.nn.Sequential(torch.nn.LazyLinear(5))
    scratchnet.accelerate(model).undo()
    assert type(model[0]) is torch.nn.LazyLinear
    model(IMAGE)
    assert type(model[0]) is torch.nn.Linear

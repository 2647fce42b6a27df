"""scratchnet.nn in torch.nn's place: every name, its submodules, and a model of many layers."""

import inspect

import pytest
import torch
from torch.testing import assert_close

import scratchnet.nn as nn
from scratchnet.nn.torchs_own import WHY, why


def test_a_model_of_ours_is_a_drop_in():
    """Containers, hooks, state_dict, to(dtype), apply and nested attribute names: the same as torch's, layer by layer."""

    def build(layers):
        torch.manual_seed(11)
        return layers.Sequential(
            layers.ModuleDict({"table": layers.Embedding(7, 6)})["table"],
            layers.LayerNorm(6),
            layers.Linear(6, 8),
            layers.GELU("tanh"),
            layers.RMSNorm(8),
            layers.ReLU(),
            layers.Linear(8, 4, bias=False),
            layers.Softmax(-1),
        )

    ours, theirs = build(nn).double(), build(torch.nn).double()
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    index = torch.randint(7, (5, 3))
    seen = []
    ours[2].register_forward_hook(lambda module, args, output: seen.append(output.shape))
    assert_close(ours(index), theirs(index))
    assert seen == [(5, 3, 8)]
    ours(index).square().sum().backward()
    theirs(index).square().sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(a.grad, b.grad)


def test_every_name_of_torch_is_here():
    """A layer is ours, or torch's own for a reason; the rest holds a network together."""
    theirs = [name for name in dir(torch.nn) if not name.startswith("_")]
    assert [name for name in theirs if not hasattr(nn, name)] == []
    assert set(theirs) - {"attention"} <= set(nn.__all__)  # a module of torch's and one of ours
    shared = {
        name: kind for name in nn.__all__ if inspect.isclass(kind := getattr(nn, name)) and kind is getattr(torch.nn, name, 0)
    }
    layers = {name for name, kind in shared.items() if issubclass(kind, torch.nn.Module)}
    without = {name for name in layers if why(shared[name]) is None}
    holders = {
        "Container",
        "DataParallel",
        "Module",
        "ModuleDict",
        "ModuleList",
        "ParameterDict",
        "ParameterList",
        "Sequential",
    }
    assert without == holders | {"TransformerDecoder"}
    assert {shared[name].__module__.rpartition(".")[2] for name in layers - without} == set(WHY)
    assert why(nn.Linear) is why(torch.nn.Sequential) is why(type("Mine", (torch.nn.Mish,), {})) is None


def test_names_that_a_newer_torch_has(monkeypatch):
    monkeypatch.setattr(torch.nn, "Newest", torch.nn.Mish, raising=False)
    with pytest.raises(AttributeError, match="no attribute 'Newest'; torch's own works beside ours: torch.nn.Newest"):
        nn.Newest()
    with pytest.raises(AttributeError, match="no attribute 'Konv'$"):
        nn.Konv(1, 1, 2)
    assert not hasattr(nn, "Konv")


def test_submodules_import_as_torchs():
    from scratchnet.nn.utils import parameters_to_vector
    from scratchnet.nn.utils.rnn import pad_sequence

    assert parameters_to_vector is torch.nn.utils.parameters_to_vector
    assert pad_sequence is torch.nn.utils.rnn.pad_sequence
    assert nn.modules.batchnorm._BatchNorm is torch.nn.modules.batchnorm._BatchNorm  # as programs look a layer up by class
    assert all(getattr(nn, name) is getattr(torch.nn, name) for name in ("Module", "Parameter", "Sequential", "ModuleList"))

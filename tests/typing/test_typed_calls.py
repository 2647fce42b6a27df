"""user.py is for the type checker; this tests what it cannot see: that no layer was forgotten."""

import inspect

import pytest
import torch

from scratchnet import nn
from scratchnet.nn.called import Called

LAYERS = [name for name in nn.__all__ if inspect.isclass(layer := getattr(nn, name)) and issubclass(layer, torch.nn.Module)]
OURS = [name for name in LAYERS if getattr(nn, name).__module__.startswith("scratchnet.")]


@pytest.mark.parametrize("name", OURS)
def test_a_call_of_every_layer_has_the_type_of_its_forward(name):
    assert any(Called in vars(base).get("__orig_bases__", ()) for base in getattr(nn, name).__mro__)


def test_the_base_for_type_checkers_is_gone_when_the_program_runs():
    assert OURS and "Called" not in {base.__name__ for base in nn.Linear.__mro__}
    assert nn.Linear.__call__ is torch.nn.Module.__call__

"""Every wrong call of the table raises torch's exception type, names function and argument, helps, and harms no input."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest
import torch
from cases import TRITON
from torch import Tensor
from torch.utils._pytree import tree_leaves
from wrong import Wrong, resolve
from wrong_calls import WRONG

import scratchnet
import scratchnet.nn
import scratchnet.optim
from scratchnet import profile

pytestmark = pytest.mark.filterwarnings("ignore:.*Using a target size", "ignore:.*dropout2d")
EVERY = [
    pytest.param(row, id=f"{k}-{row.function.removeprefix('nn.functional.')}-{row.argument}") for k, row in enumerate(WRONG)
]
INDEX = [p for p in EVERY if "index" in p.values[0].words or "Target" in p.values[0].words]


def torch_error(row: Wrong) -> type[Exception] | None:
    """The exception type of torch for the same call; None if it lacks the function or takes the call."""
    if resolve(torch, row.function) is not None:
        try:
            row(torch, copy.deepcopy((row.args, row.kwargs)))
        except Exception as error:
            return type(error)
    return None


def versions(inputs: Any) -> list[int]:
    """How often each tensor was written to in place."""
    return [value._version for value in tree_leaves(inputs) if isinstance(value, Tensor)]


def assert_unharmed(inputs: Any, before: Any) -> None:
    """The same bits."""
    for value, old in zip(tree_leaves(inputs), tree_leaves(before), strict=True):
        if isinstance(value, Tensor):
            assert (value.dtype, value.shape, value.stride(), value.grad) == (old.dtype, old.shape, old.stride(), None)
            assert value.is_meta or torch.equal(value, old)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, old, strict=True)
        else:
            assert value == old


def assert_raises(row: Wrong, expected: type[Exception], require_gradients: bool = False) -> None:
    inputs = copy.deepcopy((row.args, row.kwargs))
    for tensor in tree_leaves(inputs):
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and require_gradients:
            tensor.requires_grad_()
    writes = versions(inputs)
    with pytest.raises(expected) as caught:
        row(scratchnet, inputs)
    message = str(caught.value)
    assert message.startswith(row.start)
    assert [words for words in row.words.split(" | ") if words not in message] == [], message
    assert_unharmed(inputs, (row.args, row.kwargs))
    assert versions(inputs) == writes


@pytest.mark.parametrize("backend", [None, "cpp"], ids=["default", "cpp"])
@pytest.mark.parametrize("row", EVERY)
def test_wrong_call(row, backend, monkeypatch):
    """default: by what was measured torch's own function is the faster one, is tried, and refuses the call."""
    monkeypatch.setattr(profile, "ours", lambda *call: False)
    if backend is None and resolve(torch, row.function) is not None and torch_error(row) is None:
        pytest.skip("torch takes this call")
    with scratchnet.backend(backend):
        assert_raises(row, row.error or torch_error(row))


@pytest.mark.parametrize("backend", ["cpp", "cpp:1", "numpy", "reference", TRITON])
@pytest.mark.parametrize("row", INDEX)
def test_index_out_of_range_under_autograd(row, backend):
    """The checks that look at values instead of shapes are made by every column; here on the way through autograd."""
    with scratchnet.backend(backend):
        assert_raises(row, row.error or torch_error(row), require_gradients=True)


def test_a_row_names_an_exception_only_where_torch_has_no_say():
    """TypeError: an option of ours that torch lacks; AttributeError: torch stumbles over a list."""
    for row in WRONG:
        if row.error is None:
            assert torch_error(row) is not None, f"torch accepts {row}"
        else:
            assert torch_error(row) in (None, TypeError, AttributeError), f"torch has its own exception for {row}"


def test_every_public_function_and_layer_has_rows():
    rows = {row.function for row in WRONG}
    functions = {name for name in scratchnet.__all__ if inspect.isfunction(getattr(scratchnet, name))}
    assert {name for name in functions if not {name, f"nn.functional.{name}"} & rows} == set()
    ours, theirs = scratchnet.nn.functional, torch.nn.functional
    own = {name for name in ours.__all__ if getattr(ours, name) is not getattr(theirs, name, None)}
    assert {f"nn.functional.{name}" for name in own} <= rows
    assert len(WRONG) >= 200

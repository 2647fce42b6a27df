"""MaxPool2d, AvgPool2d and AdaptiveAvgPool2d: PyTorch's wrong calls, and what the samples in test_modules.py do not show."""

import pytest
import torch
from torch.testing import assert_close

import scratchnet.nn as nn

common_modules = pytest.importorskip(
    "torch.testing._internal.common_modules", reason="needs expecttest: pip install expecttest"
)
INFO = next(i for i in common_modules.module_db if i.module_cls is torch.nn.MaxPool2d)


def test_pytorchs_wrong_calls():
    for wrong in INFO.module_error_inputs_func(INFO, "cpu", torch.float32, requires_grad=False, training=True):
        construct, arguments = wrong.module_error_input.constructor_input, wrong.module_error_input.forward_input
        with pytest.raises(wrong.error_type, match=wrong.error_regex):
            nn.MaxPool2d(*construct.args, **construct.kwargs)(*arguments.args, **arguments.kwargs)


def test_indices_come_with_the_output():
    x = torch.randn(2, 3, 7, 7)
    ours, theirs = (lib.MaxPool2d(3, 2, 1, return_indices=True)(x) for lib in (nn, torch.nn))
    assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "arguments"), [("MaxPool2d", (3, 2, 1)), ("AvgPool2d", (2,)), ("AdaptiveAvgPool2d", ((3, None),))]
)
def test_compiled_at_two_sizes(name, arguments):
    ours, theirs = (getattr(lib, name)(*arguments) for lib in (nn, torch.nn))
    run = torch.compile(ours, fullgraph=True, backend="aot_eager")
    for size in (6, 9):
        x, own = (torch.linspace(-2, 2, 2 * size * size).sin().view(1, 2, size, size).requires_grad_() for _ in range(2))
        y, expected = run(x), theirs(own)
        assert_close(y, expected)
        y.square().sum().backward()
        expected.square().sum().backward()
        assert_close(x.grad, own.grad)

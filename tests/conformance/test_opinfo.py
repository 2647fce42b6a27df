"""PyTorch's own samples and error inputs (torch.testing's OpInfo) for every function that scratchnet offers."""

import re

import pytest
import torch
from torch.utils._pytree import tree_leaves

import scratchnet
import scratchnet.nn.functional

opinfo = pytest.importorskip("torch.testing._internal.common_methods_invocations", reason="this torch ships without its test data")

OFFERED = [
    (op, getattr(module, name))
    for op in opinfo.op_db
    for prefix, module in (("", scratchnet), ("nn.functional.", scratchnet.nn.functional))
    if op.name.startswith(prefix) and (name := op.name.removeprefix(prefix)).isidentifier() and hasattr(module, name)
    if not isinstance(getattr(module, name), type)
]
IDS = [f"{op.name}{'-' + op.variant_test_name if op.variant_test_name else ''}" for op, _ in OFFERED]
BACKENDS = ("cpp", "cpp:1", "torch")


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.int64), ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op, ours", OFFERED, ids=IDS)
def test_samples(op, ours, backend, dtype):
    """Values, dtypes and first derivatives of every sample; float64 second derivatives of the small ones."""
    if not op.supports_dtype(dtype, "cpu"):
        pytest.skip(f"torch's {op.name} does not take {dtype}")
    differentiable = op.supports_autograd and dtype.is_floating_point
    samples = [
        s for make in (op.sample_inputs, op.reference_inputs if op.reference_inputs_func else op.sample_inputs)
        for s in make("cpu", dtype, requires_grad=differentiable)
    ]  # fmt: skip
    assert samples
    for sample in samples:
        arguments = (sample.input, *sample.args)
        context = f"{op.name}{arguments}, {sample.kwargs}"
        expected = op(*arguments, **sample.kwargs)
        with scratchnet.backend(backend):
            actual = ours(*arguments, **sample.kwargs)
            torch.testing.assert_close(actual, expected, msg=lambda m, c=context: f"{m}\n{c}")
            leaves = [t for t in tree_leaves((arguments, sample.kwargs)) if isinstance(t, torch.Tensor) and t.requires_grad]
            if not differentiable or not expected.requires_grad or not leaves:
                continue
            grad = torch.randn_like(expected)
            for x, y in zip(
                torch.autograd.grad(actual, leaves, grad, create_graph=True, allow_unused=True),
                torch.autograd.grad(expected, leaves, grad, create_graph=True, allow_unused=True),
                strict=True,
            ):
                torch.testing.assert_close(x, y, msg=lambda m, c=context: f"gradient: {m}\n{c}")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op, ours", OFFERED, ids=IDS)
def test_error_inputs(op, ours, backend):
    """The wrong calls that PyTorch lists for its own function raise its exception type with its words."""
    if op.error_inputs_func is None:
        pytest.skip("PyTorch lists no wrong calls for it")
    for wrong in op.error_inputs("cpu"):
        sample = wrong.sample_input
        before = [t.clone() for t in tree_leaves((sample.input, sample.args)) if isinstance(t, torch.Tensor)]
        with scratchnet.backend(backend), pytest.raises(wrong.error_type) as caught:
            ours(sample.input, *sample.args, **sample.kwargs)
        assert re.search(wrong.error_regex, str(caught.value)), f"{caught.value}\nwanted: {wrong.error_regex}"
        after = [t for t in tree_leaves((sample.input, sample.args)) if isinstance(t, torch.Tensor)]
        torch.testing.assert_close(after, before, rtol=0, atol=0, equal_nan=True)


def test_every_function_of_torch_that_we_offer_has_samples():
    """Also guards the loop above against finding nothing."""
    names = {op.name.removeprefix("nn.functional.") for op, _ in OFFERED}
    assert {"matmul", "mm", "bmm", "linear", "cross_entropy", "softmax", "log_softmax", "logsumexp"} <= names
    assert {"layer_norm", "rms_norm", "gelu", "gather", "embedding"} <= names

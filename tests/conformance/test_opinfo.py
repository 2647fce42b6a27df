"""PyTorch's own samples and error inputs (torch.testing's OpInfo) for every function that scratchnet offers."""

import re

import pytest
import torch
from torch.utils._pytree import tree_leaves

import scratchnet
import scratchnet.nn.functional
from scratchnet.functions.dispatch import Operator

opinfo = pytest.importorskip("torch.testing._internal.common_methods_invocations", reason="this torch lacks its test data")
pytestmark = pytest.mark.filterwarnings("error::scratchnet.TeachingWarning")  # correct programs never see one

OFFERED = [
    (op, getattr(module, name))
    for op in opinfo.op_db
    for prefix, module in (("", scratchnet), ("nn.functional.", scratchnet.nn.functional), ("", scratchnet.nn.functional))
    if op.name.startswith(prefix) and (name := op.name.removeprefix(prefix)).isidentifier() and hasattr(module, name)
    if not isinstance(getattr(module, name), type)
    if getattr(module, name) is not getattr(torch.nn.functional, name, None)  # torch's own, where we offer that
    if prefix or module is scratchnet or not hasattr(scratchnet, name)  # PyTorch lists sigmoid and tanh without a prefix
]
# torch's OpInfo hands these their first two arguments the other way round
OFFERED = [
    (
        op,
        (lambda weight, index, *a, f=f, **k: f(index, weight, *a, **k))
        if op.name.endswith(("embedding", "embedding_bag"))
        else f,
    )
    for op, f in OFFERED
]
IDS = [f"{op.name}{'-' + op.variant_test_name if op.variant_test_name else ''}" for op, _ in OFFERED]
BACKENDS = ("cpp", "cpp:1", "reference", "triton")


def run(function, sample, differentiable, grad=None):
    """The outputs, the gradients of the first one and the incoming gradient that made them."""
    torch.manual_seed(42)  # as OpInfo does for dropout
    arguments, kwargs = (sample.input, *sample.args), sample.kwargs
    outputs = function(*arguments, **kwargs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    output = outputs[0]
    leaves = [t for t in tree_leaves((arguments, kwargs)) if isinstance(t, torch.Tensor) and t.requires_grad]
    if not differentiable or not output.requires_grad or not leaves:
        return [*outputs], grad
    grad = torch.randn_like(output) if grad is None else grad.to(output.dtype)
    gradients = torch.autograd.grad(output, leaves, grad, create_graph=True, allow_unused=True)
    return [*outputs, *gradients], grad


def widened(sample):
    """The sample in float64; without the options of linear_cross_entropy, which are about precision and memory."""
    widen = lambda t: t.detach().double().requires_grad_(t.requires_grad) if is_float(t) else t
    wide = sample.transform(widen)
    wide.kwargs.pop("options", None)
    return wide


def is_float(t):
    return isinstance(t, torch.Tensor) and t.is_floating_point()


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16, torch.int64), ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op, ours", OFFERED, ids=IDS)
def test_samples(op, ours, backend, dtype, monkeypatch):
    """Values, dtypes and derivatives of every sample; a function that no backend changes is tested on the first one only."""
    if not op.supports_dtype(dtype, "cpu"):
        pytest.skip(f"torch's {op.name} does not take {dtype}")
    differentiable = op.supports_autograd and dtype.is_floating_point
    makes = (op.sample_inputs, op.reference_inputs) if op.reference_inputs_func else (op.sample_inputs,)
    samples = [s for make in makes for s in make("cpu", dtype, requires_grad=differentiable)]
    samples = [s for s in samples if not s.kwargs.get("dropout_p")]  # attention draws another mask than torch's own
    assert samples
    most = 60 if backend == "triton" else 300  # every fifth of max_pool2d's 1,440; interpreted kernels are slow
    samples = samples[:: 1 + len(samples) // most]
    kernels = []  # the kernels that the called operators find on the backend
    choose = Operator.kernel
    monkeypatch.setattr(Operator, "kernel", lambda *args: kernels.append(choose(*args)) or kernels[-1])
    for number, sample in enumerate(samples):
        if number and backend != "cpp" and not (kernels if backend == "reference" else any(kernels)):
            break
        context = f"{op.name}{(sample.input, *sample.args)}, {sample.kwargs}"
        expected, grad = run(op, sample, differentiable)
        with scratchnet.backend(backend):
            actual, _ = run(ours, sample, differentiable, grad)
        if dtype in (torch.float64, torch.int64):
            torch.testing.assert_close(actual, expected, equal_nan=True, msg=lambda m, c=context: f"{m}\n{c}")
            continue
        # float32, bfloat16: as far from torch's float64 result as torch's own is, or a few ulp (sums that cancel, tiny rows)
        exact, _ = run(op, widened(sample), differentiable, grad)
        for a, e, x in zip(actual, expected, exact, strict=True):
            if e is None or x is None:
                assert a is None and e is None, context
                continue
            assert a.dtype == e.dtype and a.shape == e.shape, context
            finite = x.isfinite() & e.isfinite()
            torch.testing.assert_close(a[~finite], e[~finite], equal_nan=True, msg=lambda m, c=context: f"{m}\n{c}")
            if finite.any():
                scale = x[finite].abs().max()
                bound = 2 * (e.double() - x)[finite].abs().max() + 8 * torch.finfo(dtype).eps * scale
                assert (a.double() - x)[finite].abs().max() <= bound, context


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
        if "out" in sample.kwargs:
            continue  # torch resizes it, and with it an input in the same memory, before it checks
        after = [t for t in tree_leaves((sample.input, sample.args)) if isinstance(t, torch.Tensor)]
        torch.testing.assert_close(after, before, rtol=0, atol=0, equal_nan=True)


def test_every_function_of_torch_that_we_offer_has_samples():
    """Also guards the loop above against finding nothing."""
    names = {op.name.removeprefix("nn.functional.") for op, _ in OFFERED}
    assert {"matmul", "mm", "bmm", "linear", "cross_entropy", "softmax", "log_softmax", "logsumexp"} <= names
    ours, theirs = scratchnet.nn.functional, torch.nn.functional
    assert {name for name in ours.__all__ if getattr(ours, name) is not getattr(theirs, name, getattr(ours, name))} <= names

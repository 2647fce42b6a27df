"""The numpy and the reference column, kernel by kernel, against torch's own functions and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from column_cases import CASES, INSIDE, STATISTICS, Case, as_tuple, parameters, randn
from torch import Tensor
from torch.utils._pytree import tree_leaves

from scratchnet.ops import OPS

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
smooth_case = pytest.mark.parametrize("case", [c for c in CASES if c.smooth], ids=lambda c: c.id)


def assert_close(actual, expected: Tensor, what: str, bound: float = 1e-12) -> None:
    """Equal shape, NaN and infinities; errors at most bound times the largest finite entry expected."""
    actual = actual.detach() if isinstance(actual, Tensor) else torch.from_numpy(np.asarray(actual))
    expected = expected.detach()
    finite = expected[expected.isfinite()].abs()
    atol = bound * finite.max().item() if finite.numel() else 0.0
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol, equal_nan=True, msg=lambda m: f"{what}: {m}")


def assert_all_close(actual: dict, expected: dict, bound: float = 1e-12) -> None:
    for name, value in expected.items():
        assert_close(actual[name], value, name, bound)


def leaves(case: Case) -> dict:
    """The arguments, fresh leaves where a gradient is wanted."""
    return {k: v.detach().clone().requires_grad_() if k in case.wanted else v for k, v in case.args.items()}


def torch_forward(case: Case, args: dict) -> dict:
    return dict(zip(OPS[case.op].results, as_tuple(case.own(*args.values())), strict=True))


def torch_backward(case: Case, upstream: dict, args: dict, outputs: dict, **options) -> dict:
    inputs = [args[name] for name in case.wanted]
    outputs = [outputs[name] for name in case.differentiable]
    return dict(zip(case.wanted, torch.autograd.grad(outputs, inputs, list(upstream.values()), **options), strict=True))


def to_numpy(values: dict) -> dict:
    return {k: v.detach().numpy() if isinstance(v, Tensor) else v for k, v in values.items()}


def to(values: dict, **options) -> dict:
    """Floating tensors to another dtype, or all tensors to another device."""
    moves = lambda v: isinstance(v, Tensor) and (v.is_floating_point() or "device" in options)
    return {k: v.to(**options) if moves(v) else v for k, v in values.items()}


@pytest.mark.parametrize("column", ["numpy", "reference"])
@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_arguments_are_those_of_the_schema(op, column):
    case = next(c for c in CASES if c.op == op.name)
    for way in ("forward", "backward"):
        assert parameters(case.kernel(column, way)) == list(op.arguments(way))
        *flat, rung = [argument.name for argument in torch._C.parse_schema(f"f{op.schema(way)}").arguments]
        assert flat == case.names(way) and rung == "rung"


@every_case
@pytest.mark.filterwarnings("error")
def test_float64_agrees_with_torch(case):
    args = leaves(case)
    outputs = torch_forward(case, args)
    upstream = case.upstream(outputs)
    grads = torch_backward(case, upstream, args, outputs)
    as_arrays = to_numpy(args)
    forward = case.run_forward("numpy", as_arrays)
    assert_all_close(forward, outputs)
    assert_all_close(case.run_backward("numpy", to_numpy(upstream), as_arrays, forward), grads)
    forward = case.run_forward("reference", args)
    assert_all_close(forward, outputs)
    assert_all_close(case.run_backward("reference", upstream, args, forward), grads)


@pytest.mark.parametrize("column", ["numpy", "reference"])
@pytest.mark.parametrize("op", [name for name, op in OPS.items() if op.needs])
def test_only_needed_gradients_are_returned(op, column):
    case = max((c for c in CASES if c.op == op), key=lambda c: len(c.wanted))
    args = to_numpy(case.args) if column == "numpy" else case.args
    outputs = case.run_forward(column, args)
    upstream = case.upstream(outputs)
    upstream = to_numpy(upstream) if column == "numpy" else upstream
    full = case.run_backward(column, upstream, args, outputs)
    for name in case.wanted:
        alone = case.run_backward(column, upstream, args, outputs, wanted=[name])
        assert [k for k, v in alone.items() if v is not None] == [name]
        np.testing.assert_array_equal(alone[name], full[name])


@smooth_case
def test_reference_backward_is_differentiable(case):
    def second(forward, backward):
        """Gradients of a weighted sum of the first gradients, in the inputs and in the upstream gradients."""
        args = leaves(case)
        outputs = forward(args)
        upstream = {k: v.requires_grad_() for k, v in case.upstream(outputs).items()}
        grads = backward(upstream, args, outputs)
        total = sum((randn(*g.shape, seed=9) * g).sum() for g in grads.values() if g is not None)
        inputs = {**{n: args[n] for n in case.wanted}, **upstream}
        return dict(zip(inputs, torch.autograd.grad(total, list(inputs.values()), materialize_grads=True), strict=True))

    def constants(args):
        outputs = case.run_forward("reference", args)
        return {k: v.detach() if k in STATISTICS - INSIDE else v for k, v in outputs.items()}

    if case.args.get("scale_grad_by_freq"):  # torch's own second derivative ignores the frequencies
        grad = randn(*case.args["index"].shape, 3).requires_grad_()
        assert torch.autograd.gradcheck(lambda g: case.run_backward("reference", {"grad": g}, case.args, {})["weight"], grad)
        return
    expected = second(lambda args: torch_forward(case, args), lambda *values: torch_backward(case, *values, create_graph=True))
    actual = second(constants, lambda *values: case.run_backward("reference", *values))
    assert_all_close(actual, expected, 1e-11)


@smooth_case
def test_reference_runs_under_vmap_and_jvp(case):
    def variant(names, tensors):
        return case.args | dict(zip(names, tensors, strict=True))

    names = [k for k, v in case.args.items() if isinstance(v, Tensor)]
    call = lambda *tensors: tuple(case.run_forward("reference", variant(names, tensors)).values())
    one = [case.args[n] for n in names]
    two = [v * 0.5 if v.is_floating_point() else v.flip(-1) if v.ndim else v for v in one]
    batched = torch.func.vmap(call)(*(torch.stack(pair) for pair in zip(one, two, strict=True)))
    for got, first, second in zip(batched, call(*one), call(*two), strict=True):
        assert_close(got, torch.stack([first, second]), "vmap")

    last = case.differentiable[-1]
    own = lambda *tensors: torch_forward(case, variant(case.wanted, tensors))[last]
    ours = lambda *tensors: case.run_forward("reference", variant(case.wanted, tensors))[last]
    point = tuple(case.args[n].clone(memory_format=torch.contiguous_format) for n in case.wanted)
    tangent = tuple(randn(*v.shape, seed=5) for v in point)
    assert_close(torch.func.jvp(ours, point, tangent)[1], torch.func.jvp(own, point, tangent)[1], "jvp")
    if case.args.get("padding_idx", -1) != -1 or case.args.get("scale_grad_by_freq"):
        return  # options of backward only: the derivative of forward ignores them
    # Not torch.func.hessian for torch's own: its block of weight and input is wrong for F.layer_norm (torch 2.13).
    cube = lambda function: lambda *tensors: function(*tensors).pow(3).sum()
    expected = torch.autograd.functional.hessian(cube(own), point)
    actual = torch.func.hessian(cube(ours), tuple(range(len(point))))(*point)
    for left, right in zip(tree_leaves(actual), tree_leaves(expected), strict=True):
        assert_close(left, right, "hessian", 1e-10)


@smooth_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_reference_rounds_once(case, dtype):
    """Narrow inputs: each result is within half a unit of `dtype` and a few of float32 of the oracle's on the same inputs."""
    args = to(case.args, dtype=dtype)
    outputs = case.run_forward("reference", args)
    upstream = to(case.upstream(outputs), dtype=dtype)
    grads = case.run_backward("reference", upstream, args, outputs)
    wide = to_numpy(to(args, dtype=torch.float64))
    saved = to_numpy(to(outputs, dtype=torch.float64))
    exact = case.run_forward("numpy", wide)
    exact_grads = case.run_backward("numpy", to_numpy(to(upstream, dtype=torch.float64)), wide, saved)
    for name, value in {**outputs, **{f"d{k}": v for k, v in grads.items() if v is not None}}.items():
        oracle = exact[name] if name in exact else exact_grads[name[1:]]
        if name in ("index", "which"):
            np.testing.assert_array_equal(value, oracle)
            continue
        assert value.dtype == (torch.float64 if name == "lse" else torch.float32 if name in STATISTICS else dtype), name
        bits = torch.finfo(value.dtype)
        scale = max(1.0, np.abs(oracle).max(initial=0.0))
        bound = bits.eps / 2 * np.abs(oracle) + bits.smallest_normal * bits.eps + 64 * torch.finfo(torch.float32).eps * scale
        error = np.abs(value.double().numpy() - oracle)
        assert (error <= bound).all(), f"{name}: error {error.max()}"


@every_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_reference_infers_shapes_and_dtypes_on_meta_tensors(case, dtype):
    args = to(case.args, dtype=dtype)
    outputs = case.run_forward("reference", args)
    upstream = to(case.upstream(outputs), dtype=dtype)
    grads = case.run_backward("reference", upstream, args, outputs)
    args, upstream = to(args, device="meta"), to(upstream, device="meta")
    meta = case.run_forward("reference", args)
    meta_grads = case.run_backward("reference", upstream, args, meta)
    for real, inferred in zip((*outputs.values(), *grads.values()), (*meta.values(), *meta_grads.values()), strict=True):
        if real is None:
            assert inferred is None
        else:
            assert (inferred.device.type, inferred.shape, inferred.dtype) == ("meta", real.shape, real.dtype)


def test_matmul_of_integers_is_exact():
    matmul = next(case for case in CASES if case.op == "matmul")
    a, b = torch.arange(12).reshape(3, 4) + 2**40, torch.arange(8).reshape(4, 2) - 3
    for column, x, y in (("numpy", a.numpy(), b.numpy()), ("reference", a, b)):
        product = matmul.kernel(column, "forward")(x, y)
        assert product.dtype == x.dtype
        np.testing.assert_array_equal(product, (a @ b).numpy())


@pytest.mark.parametrize("bad", [-1, 5])
@pytest.mark.parametrize("op", ["gather", "embedding", "embedding_bag", "index_add", "cross_entropy", "linear_cross_entropy"])
def test_oracle_rejects_indices_out_of_range(op, bad):
    case = next(c for c in CASES if c.op == op and c.smooth)
    name, valid = ("target", (3, 2)[: 1 + (op == "cross_entropy")]) if "cross" in op else ("index", (4, 5))
    valid = case.args["index"].shape if op == "embedding_bag" else valid
    args = to_numpy(case.args) | {name: np.full(valid, bad)}
    with pytest.raises(IndexError, match=f"{name} {bad} is out of range"):
        case.run_forward("numpy", args)

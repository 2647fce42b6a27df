"""Every operator under torch.func, torch.compile and torch.export, by value.

opcheck does not notice how the usual ways to register a gradient fail silently here: a zero gradient under
compile(func.grad), no gradient through an exported program, a wrong jvp.
"""

import pytest
import torch
import torch._dynamo.testing
from cases import EXAMPLES, case, scalar
from torch import func

import scratchnet
from scratchnet.functions.dispatch import Operator
from scratchnet.measure.verify import function
from scratchnet.ops import OPS, REDUCTIONS

FIRST = [(name, next(iter(op.examples))) for name, op in OPS.items()]


@pytest.fixture(autouse=True)
def cpp():
    """Torch's own kernels compose anyway: ours are tested, even where torch's are the default."""
    torch._dynamo.reset()
    with scratchnet.backend("cpp"):
        yield


def same(transform, c):
    torch.testing.assert_close(transform(c.ours), transform(c.transformable))


def grads(call, c):
    return func.grad(scalar(call), argnums=tuple(range(len(c.tensors))))(*c.tensors)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_grad(name, example):
    c = case(name, example)
    same(lambda call: grads(call, c), c)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_grad_of_grad(name, example):
    c = case(name, example)

    def second(call):
        inner = lambda *t: sum(g.square().sum() for g in func.grad(scalar(call), argnums=tuple(range(len(t))))(*t))
        return func.grad(inner, argnums=tuple(range(len(c.tensors))))(*c.tensors)

    same(second, c)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_jvp_and_hessian(name, example):
    c = case(name, example)
    tangents = tuple(torch.randn_like(t) for t in c.tensors)
    same(lambda call: func.jvp(call, tuple(c.tensors), tangents), c)
    # torch.func.hessian of torch's own layer_norm is wrong (2.13); reverse mode over reverse mode is right
    expected = torch.autograd.functional.hessian(scalar(c.transformable), tuple(c.tensors))
    every = tuple(range(len(c.tensors)))
    torch.testing.assert_close(func.hessian(scalar(c.ours), every)(*c.tensors), expected)
    torch.testing.assert_close(func.jacrev(func.jacfwd(scalar(c.ours), every), every)(*c.tensors), expected)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_vmap(name, example):
    c = case(name, example)
    batch = tuple(torch.randn(2, *t.shape, dtype=t.dtype) for t in c.tensors)
    same(lambda call: func.vmap(call)(*batch), c)
    same(lambda call: func.vmap(func.grad(scalar(call)))(*batch), c)
    same(lambda call: func.grad(lambda *t: sum(y.sum() for y in func.vmap(call)(*t)))(*batch), c)
    if len(batch) > 1:
        one = (0,) + (None,) * (len(batch) - 1)
        same(lambda call: func.vmap(call, in_dims=one)(batch[0], *c.tensors[1:]), c)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_batched_gradients(name, example):
    c = case(name, example)

    def jacobian(call):
        leaves = c.leaves
        y = torch.cat([y.flatten() for y in call(*leaves)])
        basis = torch.eye(y.numel(), dtype=y.dtype)
        return torch.autograd.grad(y, leaves, basis, is_grads_batched=True)

    same(jacobian, c)


def compiled(call, backend="aot_eager", **options):
    return torch.compile(call, fullgraph=True, backend=backend, **options)


def backward(call, c):
    return torch.autograd.grad(scalar(call)(*(leaves := c.leaves)), leaves)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_compile(name, example):
    c = case(name, example)
    torch.testing.assert_close(compiled(c.ours)(*c.tensors), c.torch(*c.tensors))
    torch.testing.assert_close(backward(compiled(c.ours), c), backward(c.torch, c))


@pytest.mark.full
@pytest.mark.parametrize("name, example", FIRST)
def test_compile_with_inductor(name, example):
    c = case(name, example, dtype=torch.float32)
    ours, theirs = (lambda *t, call=call: call(*[2 * x for x in t]) for call in (c.ours, c.torch))
    torch.testing.assert_close(backward(compiled(ours, "inductor"), c), backward(theirs, c))


@pytest.mark.parametrize("name, example", FIRST)
def test_compile_of_transforms(name, example):
    c = case(name, example)
    tangents = tuple(torch.randn_like(t) for t in c.tensors)
    for transform in (
        lambda call: lambda *t: func.grad(scalar(call), argnums=tuple(range(len(t))))(*t),
        lambda call: lambda *t: func.jvp(call, t, tangents),
        lambda call: lambda *t: func.vmap(call)(*[torch.stack((x, 2 * x)) for x in t]),
        lambda call: lambda *t: func.vmap(func.grad(scalar(call)))(*[torch.stack((x, 2 * x)) for x in t]),
    ):
        torch.testing.assert_close(compiled(transform(c.ours))(*c.tensors), transform(c.transformable)(*c.tensors))


@pytest.mark.parametrize("name, example", FIRST)
def test_compile_does_not_recompile_for_another_batch_size(name, example):
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    ours = function(OPS[name])
    run = torch.compile(lambda args, kwargs: ours(*args, **kwargs), fullgraph=True, backend=counter)
    for rows in (4, 6, 7, 9):
        args, kwargs = OPS[name].examples[example](rows, 8, torch.float64)
        torch.testing.assert_close(run(args, kwargs), OPS[name].torch(*args, **kwargs))
    assert counter.frame_count <= 2  # one static, one dynamic


def test_compiled_code_follows_the_backend():
    x = torch.randn(4, 3)
    run = torch.compile(scratchnet.gelu, fullgraph=True, backend=(counter := torch._dynamo.testing.EagerAndRecordGraphs()))
    run(x)
    with scratchnet.backend("numpy"):
        run(x)
    operators = [node.target for graph in counter.graphs for node in graph.graph.nodes if node.op == "call_function"]
    assert operators == [torch.ops.scratchnet.gelu.default, torch.ops.scratchnet_numpy.gelu.default]


@pytest.mark.parametrize("strict", (True, False))
@pytest.mark.parametrize("name, example", FIRST)
def test_export_and_train_the_exported_program(name, example, strict):
    c = case(name, example)

    class Model(torch.nn.Module):
        def __init__(self, call):
            super().__init__()
            self.call = call
            self.leaves = torch.nn.ParameterList(c.leaves)

        def forward(self, scale):
            return self.call(*[scale * t for t in self.leaves])

    def trained(call, export):
        model = Model(call)
        scale = torch.ones((), dtype=torch.float64)
        program = torch.export.export(model, (scale,), strict=strict) if export else None
        run = program.module() if export else model
        scalar(lambda: run(scale))().backward()
        if export:
            assert any(f"scratchnet.{name}" in str(node.target) for node in program.graph.nodes)
        return [p.grad for p in run.parameters()]

    torch.testing.assert_close(trained(c.ours, True), trained(c.torch, False))


@pytest.mark.full  # half a minute for all of them
@pytest.mark.parametrize("name, example", EXAMPLES)
def test_opcheck(name, example, monkeypatch):
    """torch.library.opcheck of the operators that the call goes through, with the arguments that it passes on."""
    c = case(name, example)
    calls = []
    plain = Operator.__call__
    monkeypatch.setattr(Operator, "__call__", lambda self, *args: calls.append((self, args)) or plain(self, *args))
    c.ours(*c.leaves)
    for operator, args in calls:
        kernel = operator.kernel("cpu", torch.float64)
        detached = tuple(a.detach() if isinstance(a, torch.Tensor) else a for a in args)
        for arguments in (detached, tuple(a.requires_grad_() if is_float(a) else a for a in map(clone, detached))):
            torch.library.opcheck(kernel.differentiable, kernel.flat(arguments))
        torch.library.opcheck(kernel._forward, kernel.flat(detached))
        if operator.op.at_once and REDUCTIONS[detached[-1].reduction] != "none":
            both = getattr(torch.ops.scratchnet, f"{operator.op.name}_gradients").default
            needs = True, True, detached[2] is not None
            torch.library.opcheck(both, (*operator.op.flat("gradients", (*detached, *needs)), kernel.rung))
    assert calls


def is_float(a):
    return isinstance(a, torch.Tensor) and a.is_floating_point()


def clone(a):
    return a.clone() if isinstance(a, torch.Tensor) else a


def layers(library):
    return library.Sequential(library.Linear(64, 64), library.GELU(), library.LayerNorm(64), library.Linear(64, 7))


GRAPHS = {
    "layers": (layers, None),
    "CrossEntropyLoss": (lambda library: library.CrossEntropyLoss(), lambda rows: torch.randint(64, (rows,))),
    "MSELoss": (lambda library: library.MSELoss(), lambda rows: torch.randn(rows, 64)),
}


@pytest.mark.parametrize("build, target", GRAPHS.values(), ids=GRAPHS)
def test_compile_makes_no_more_graphs_than_torch(build, target):
    """Over batch sizes on both sides of the size up to which torch's own is faster, with uncompiled calls in between."""

    def graphs(library):
        torch._dynamo.reset()
        counter = torch._dynamo.testing.CompileCounter()
        model = build(library)
        run = torch.compile(model, backend=counter)
        for rows in (2, 3, 5, 64, 65, 300, 5000):
            args = [torch.randn(rows, 64), *([target(rows)] if target else [])]
            torch.testing.assert_close(run(*args), model(*args))
        return counter.frame_count

    with scratchnet.backend(None):
        assert graphs(scratchnet.nn) <= graphs(torch.nn)


@pytest.mark.full
@pytest.mark.parametrize("name, example", EXAMPLES)
def test_compiled_functions_make_no_more_graphs_than_torchs(name, example):
    if name == "recurrence" or "pool2d" in name or "conv2d" in name:
        pytest.skip("the rows of its examples are not a batch; see the layers' own tests")

    def graphs(call):
        torch._dynamo.reset()
        counter = torch._dynamo.testing.CompileCounter()
        run = torch.compile(lambda args, kwargs: call(*args, **kwargs), backend=counter)
        for rows in (2, 3, 5, 64, 300, 1500):
            run(*OPS[name].examples[example](rows, 64, torch.float32))
        return counter.frame_count

    with scratchnet.backend(None):
        assert graphs(function(OPS[name])) <= graphs(OPS[name].torch)

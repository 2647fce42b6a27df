"""torch.jit.trace, torch.utils.flop_counter and torch.profiler: what records or counts operators finds every one of ours."""

import io
import subprocess
import sys

import pytest
import torch
from cases import EXAMPLES, case
from torch.testing import assert_close

import scratchnet
from scratchnet import columns, nn
from scratchnet.functions.dispatch import OPERATORS
from scratchnet.ops import OPS


@pytest.fixture(autouse=True)
def cpp():
    with scratchnet.backend("cpp"):
        yield


class Call(torch.nn.Module):
    """A case as a model that takes its differentiable tensors."""

    def __init__(self, case):
        super().__init__()
        self.ours = case.ours

    def forward(self, *leaves):
        return tuple(y for y in self.ours(*leaves))


def gradients(outputs, leaves):
    reached = [y for y in outputs if y.requires_grad]
    return torch.autograd.grad(reached, leaves, [y.detach().cos() for y in reached], allow_unused=True)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit")
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_jit_trace(name, example):
    """One node for the operator; saved and read again, it has the same values and gradients for other numbers."""
    c = case(name, example, 6, 4)
    traced = torch.jit.trace(Call(c), tuple(c.leaves))  # checked by torch: a second trace, without gradients, is the same graph
    kinds = [node.kind() for node in traced.inlined_graph.nodes()]
    assert kinds.count(f"scratchnet::{name}") == 1 and not any("Python" in kind or "Function" in kind for kind in kinds)
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    leaves = [t.sin().requires_grad_() for t in c.tensors]
    outputs, wanted = torch.jit.load(file)(*leaves), c.ours(*leaves)
    assert_close(outputs, wanted)
    assert_close(gradients(outputs, leaves), gradients(wanted, leaves))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit")
@pytest.mark.parametrize("training", [True, False])
def test_jit_trace_of_an_accelerated_model(training):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.GELU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(1),
        torch.nn.Linear(72, 16), torch.nn.LayerNorm(16),
    ).train(training)  # fmt: skip
    scratchnet.accelerate(model)
    x = torch.randn(2, 3, 8, 8)
    traced = torch.jit.trace(model, x)
    outputs, wanted = traced(2 * x), model(2 * x)
    assert_close(outputs, wanted)
    parameters = list(model.parameters())
    assert_close(gradients([outputs], parameters), gradients([wanted], parameters))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.SmoothL1Loss(), nn.HuberLoss(), nn.BCELoss(), nn.KLDivLoss(reduction="sum")])
def test_jit_trace_of_a_loss(loss):
    x, y = torch.rand(5, 3, requires_grad=True), torch.rand(5, 3)
    traced = torch.jit.trace(loss, (x, y))
    assert_close(traced(x, y), loss(x, y))
    assert_close(gradients([traced(x, y)], [x]), gradients([loss(x, y)], [x]))


def counted(call, leaves):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        gradients(call(*leaves), leaves)
    return counter.get_total_flops()


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_flop_counter(name, example):
    """In both directions what torch counts for its own function; what it does not count, such as a norm, is 0 for ours too."""
    c = case(name, example, 6, 4)
    flops = counted(c.ours, c.leaves)
    if name in ("recurrence", "attention"):  # torch counts none for its own layer; all keys, not those that are visible
        cost = c.op.cost(*c.args, **c.kwargs)
        assert flops == cost.forward_flops + cost.backward_flops > 0
        return
    wanted = counted(c.torch, c.leaves)
    groups = c.kwargs.get("groups", 1)
    if groups > 1:  # torch counts the gradient of every filter for all channels of the image
        third = OPS[name].cost(*c.args, **c.kwargs).forward_flops
        assert wanted == (2 + groups) * third
        wanted = 3 * third
    if c.op.at_once and c.kwargs.get("reduction") == "none":  # backward makes the logits once more
        wanted += c.op.cost(*c.args, **c.kwargs).forward_flops
    assert flops == wanted and (flops > 0) == (c.op.products is not None)


def test_flop_counter_counts_the_gradients_that_are_needed():
    x, w = torch.randn(6, 4), torch.randn(3, 4, requires_grad=True)
    product = 2 * 6 * 4 * 3
    assert counted(lambda w: [nn.functional.linear(x, w)], [w]) == 2 * product
    assert counted(lambda x: [nn.functional.linear(x, w.detach())], [x.requires_grad_()]) == 2 * product
    with torch.no_grad():
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            nn.functional.linear(x, w)
        assert counter.get_total_flops() == product
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            nn.functional.linear(x, w)
        assert counter.get_total_flops() == product


def test_every_registered_operator_has_a_formula():
    from torch.utils.flop_counter import flop_registry

    for namespace in set(columns.NAMESPACES.values()):
        operators = getattr(torch.ops, namespace)
        names = [f"{name}{suffix}" for name in OPERATORS for suffix in ("", "_forward", "_backward")]
        registered = [name for name in names if hasattr(operators, name)]
        assert registered or namespace != "scratchnet"
        assert all(getattr(operators, name) in flop_registry for name in registered)
    assert torch.ops.scratchnet.linear_cross_entropy_gradients in flop_registry


def test_the_counter_is_told_whichever_is_imported_first():
    for first, second in (("scratchnet", "torch.utils.flop_counter"), ("torch.utils.flop_counter", "scratchnet")):
        code = f"import {first}, {second}, torch; from torch.utils.flop_counter import flop_registry as known;"
        code += "print(torch.ops.scratchnet.linear_forward in known, torch.ops.aten.mm in known)"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.stdout.split() == ["True", "True"], run.stderr


@pytest.mark.parametrize(("name", "example"), [(name, next(iter(op.examples))) for name, op in OPS.items()])
def test_profiler(name, example):
    """A run of torch.profiler shows both directions by name."""
    c = case(name, example, 6, 4)
    leaves = c.leaves
    with torch.profiler.profile() as profile:
        gradients(c.ours(*leaves), leaves)
    seen = {event.key for event in profile.key_averages() if event.key.startswith("scratchnet::")}
    both = {f"scratchnet::{name}_forward", f"scratchnet::{name}_backward"}
    assert seen == both or seen == {f"scratchnet::{name}_gradients"}


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_jit_script_refuses():
    """The page says so: it compiles the source of a layer, and ours is Python. torch.jit.trace takes them."""
    with pytest.raises(Exception, match="Linear|scratchnet|script|compile"):
        torch.jit.script(nn.Linear(3, 4))


def test_an_exported_program_of_torchs_operators():
    """For a runtime that knows no other, as the page says."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.LayerNorm(8), torch.nn.Softmax(-1))
    scratchnet.accelerate(model)
    x = torch.randn(3, 4)
    for backend, namespaces in (("torch", {"aten"}), ("cpp", {"scratchnet"})):
        with scratchnet.backend(backend):
            program = torch.export.export(model, (x,))
            called = {node.target.namespace for node in program.graph.nodes if node.op == "call_function"}
            assert called == namespaces
            assert_close(program.module()(x), model(x))

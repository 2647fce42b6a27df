"""The compiled kernels on NumPy arrays, against the numpy column; and what they and torch's raw operators refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Callable

import numpy as np
import pytest
import torch
from column_cases import CASES, STATISTICS, Case
from test_columns_agree import assert_close, to, to_numpy

from scratchnet import _compiled
from scratchnet.backends import HIGHEST
from scratchnet.ops import OPS

pytestmark = pytest.mark.skipif(_compiled.module is None, reason=_compiled.reason)
RUNGS = ("cpp:1", "cpp:9")  # raw kernels with fewer rungs take 9 for their last


class ArrayCase(Case):
    """A case with two more columns, RUNGS: the compiled kernels. `called` has the arguments of the last call."""

    def kernel(self, column: str, way: str) -> Callable:
        if column not in RUNGS:
            return super().kernel(column, way)
        compiled, rung = getattr(_compiled.module, f"{self.op}_{way}"), int(column[-1])

        def call(*args):
            flat = OPS[self.op].flat(way, args)
            self.called = dict(zip(self.names(way), flat, strict=True))
            return compiled(*flat, rung)

        return call

    def run(self, column: str, args: dict, upstream: dict | None = None, saved: dict | None = None) -> dict:
        """Outputs by name, gradients as "d" + name. Backward takes `saved`, if given, in place of the outputs."""
        outputs = self.run_forward(column, args)
        upstream = to_numpy(self.upstream(outputs)) if upstream is None else upstream
        grads = self.run_backward(column, upstream, args, saved or outputs)
        return outputs | {f"d{name}": grads[name] for name in self.wanted}


def richness(case: Case) -> tuple[int, int]:
    """How many arguments are given and not zero, and how large they are."""
    values = [v for v in case.args.values() if v is not None and (isinstance(v, torch.Tensor) or v)]
    return len(values), sum(v.numel() for v in values if isinstance(v, torch.Tensor))


ARRAY_CASES = [ArrayCase(**vars(case)) for case in CASES]
RICHEST = {op: max((c for c in ARRAY_CASES if c.op == op and c.smooth), key=richness) for op in OPS}
every_op = pytest.mark.parametrize("op", OPS)
every_rung = pytest.mark.parametrize("rung", RUNGS)


def changed(args: dict, change: Callable) -> dict:
    return {name: change(v) if isinstance(v, np.ndarray) else v for name, v in args.items()}


@every_rung
@pytest.mark.parametrize("case", ARRAY_CASES, ids=lambda c: c.id)
def test_agrees_with_the_numpy_column(case, rung):
    args = to_numpy(case.args)
    expected, actual = case.run("numpy", args), case.run(rung, args)
    for name, value in expected.items():
        # At infinity a statistic may be NaN: what is computed from it is NaN either way.
        if np.size(value) and (case.smooth or name not in STATISTICS):
            assert_close(actual[name], torch.from_numpy(np.asarray(value)), name)


def stepped(a: np.ndarray, step: int) -> np.ndarray:
    memory = np.zeros([abs(step) * n for n in a.shape], a.dtype)
    view = memory[(..., *[slice(None, None, step)] * a.ndim)]
    view[...] = a
    return view


LAYOUTS = {
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "transposed": lambda a: np.array(a, order="F"),
    "every second": lambda a: stepped(a, 2),
    "backwards": lambda a: stepped(a, -1),
    "subclass": lambda a: a.view(np.memmap),
}


@every_rung
@pytest.mark.parametrize("layout", LAYOUTS)
@every_op
def test_any_layout(op, layout, rung):
    case = RICHEST[op]
    args = changed(to_numpy(case.args), np.copy)
    upstream = to_numpy(case.upstream(case.run_forward(rung, args)))
    expected = case.run(rung, args, upstream)
    views, before = changed(args, LAYOUTS[layout]), changed(args, np.copy)
    actual = case.run(rung, views, changed(upstream, LAYOUTS[layout]))
    for name, value in expected.items():
        assert_close(actual[name], torch.from_numpy(value), name, 1e-14)
        assert actual[name].flags.c_contiguous and actual[name].flags.writeable
        assert not any(np.shares_memory(actual[name], v) for v in views.values() if isinstance(v, np.ndarray))
    for name, value in before.items():
        np.testing.assert_array_equal(views[name], value)


@every_rung
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@every_op
def test_narrow_types_are_rounded_once(op, dtype, rung):
    """Within half a unit of `dtype` and a few of float32 of the oracle's result for the same inputs."""
    case = RICHEST[op]
    args = to(case.args, dtype=dtype)
    upstream = to(case.upstream(case.run_forward("reference", args)), dtype=dtype)
    actual = case.run(rung, to_numpy(args), to_numpy(upstream))
    saved = changed(case.run_forward(rung, to_numpy(args)), lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a)
    exact = [to_numpy(to(values, dtype=torch.float64)) for values in (args, upstream)]
    for name, oracle in case.run("numpy", *exact, saved).items():
        if np.size(oracle) == 0:
            continue
        if name in ("index", "which"):
            np.testing.assert_array_equal(actual[name], oracle)
            continue
        wanted = torch.float64 if name == "lse" else torch.float32 if name in STATISTICS else dtype
        assert torch.from_numpy(actual[name]).dtype == wanted, name
        bits = np.finfo(actual[name].dtype)
        scale = max(1.0, np.abs(oracle).max())
        bound = bits.eps / 2 * np.abs(oracle) + bits.smallest_subnormal + 64 * np.finfo(np.float32).eps * scale
        assert (np.abs(actual[name] - oracle) <= bound).all(), name


def test_threads_are_those_that_torch_is_told():
    """Three threads work when torch is set to three, only the caller when it is set to one; the bits are the same."""
    code = """if True:
        import os, numpy as np, torch
        from scratchnet import _compiled
        module, x = _compiled.module, np.random.default_rng(0).standard_normal((600, 700))
        weight, count = x[0].copy(), lambda: len(os.listdir("/proc/self/task"))
        def results():
            y, mean, rstd = module.layer_norm_forward(x, weight, weight, 1, 1e-5, 5)
            return [y, *module.layer_norm_backward(x, x, mean, rstd, weight, 1, 1e-5, True, True, True, 5),
                    module.gelu_forward(x, False, 5), module.matmul_forward(x, x.T, 5), module.softmax_forward(x, 1, 5)]
        torch.set_num_threads(1)
        before, one = count(), results()
        print(count() - before)
        torch.set_num_threads(3)
        three = results()
        print(count() - before, module.cpu_info()["threads"], all(map(np.array_equal, one, three)))
    """
    if not os.path.exists("/proc/self/task"):
        pytest.skip("threads are counted in /proc")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "2", "3", "True"]


# ---- Wrong calls --------------------------------------------------------------------------------------------------------

WAYS = ("forward", "backward")
CHECKED = list(OPS)
every_library = pytest.mark.parametrize("library", ["numpy", "torch"])


def good_call(op: str, way: str) -> dict:
    """The arguments of a call that works, by name."""
    case = RICHEST[op]
    (case.run if way == "backward" else case.run_forward)(RUNGS[-1], to_numpy(case.args))
    return case.called


def refuses(library: str, op: str, way: str, args: dict, match: str, rung: int = 5) -> None:
    """The call raises a RuntimeError whose message begins with its name, and leaves the arguments as they were."""
    before = changed(args, np.copy)
    if library == "numpy":
        kernel, values = getattr(_compiled.module, f"{op}_{way}"), args.values()
    else:
        kernel = getattr(torch.ops.scratchnet, f"{op}_{way}")
        values = changed(args, lambda a: torch.from_numpy(np.array(a))).values()
    with pytest.raises(RuntimeError, match=rf"^{op}_{way}\(\): .*{match}"):
        kernel(*values, rung)
    for name, value in before.items():
        np.testing.assert_array_equal(args[name], value)


# Beside the first argument of each forward.
ANY_SHAPE = {
    ("embedding", "forward", "index"),
    ("index_add", "backward", "grad"),
    ("index_add", "backward", "index"),
    ("dropout", "backward", "grad"),
    ("embedding_bag", "forward", "offsets"),
}


@every_library
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", CHECKED)
def test_every_tensor_is_checked(op, way, library):
    args = good_call(op, way)
    arrays = {name: v for name, v in args.items() if isinstance(v, np.ndarray)}
    for name, array in arrays.items():
        refuses(library, op, way, args | {name: array.astype(np.int64 if array.dtype == np.float64 else np.int32)}, "must")
        if sum(other.dtype == np.float64 for other in arrays.values()) > 1:  # all must be of one type
            refuses(library, op, way, args | {name: array.astype(np.float32)}, "must")
        if (way == "forward" and name == next(iter(arrays))) or (op, way, name) in ANY_SHAPE:
            continue
        for shape in ((array.size + 1000,), (), *([] if name in STATISTICS else [(1, *array.shape)])):
            if shape != array.shape:
                refuses(library, op, way, args | {name: np.ones(shape, array.dtype)}, "must")


@every_library
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", CHECKED)
def test_rung_must_exist(op, way, library):
    for rung in (-1, 0, HIGHEST["cpp"] + 1, HIGHEST["cpp"] + 4):  # a shorter ladder takes the others for its last rung
        refuses(library, op, way, good_call(op, way), f"no rung {rung}", rung)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", CHECKED)
def test_foreign_numbers_are_refused(op, way):
    args = good_call(op, way)
    for name, array in args.items():
        if isinstance(array, np.ndarray) and array.size:
            refuses("numpy", op, way, args | {name: array.astype(array.dtype.newbyteorder(">"))}, name)
            memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
            misaligned = memory.view(array.dtype)[: array.size].reshape(array.shape)
            misaligned[...] = array
            refuses("numpy", op, way, args | {name: misaligned}, f"{name} .*misaligned")


@every_library
@pytest.mark.parametrize(
    "op, wrong, match",
    [
        ("matmul", {"a": np.ones((3, 4)), "b": np.ones((3, 4))}, "b must have as many rows"),
        ("matmul", {"a": np.ones((2, 3, 4)), "b": np.ones((5, 4, 3))}, "batch"),
        ("matmul", {"a": np.ones(4), "b": np.ones(4)}, "at least two"),
        ("linear", {"x": np.ones(())}, "x must have an axis"),
        ("linear", {"weight": np.ones((3, 5))}, r"weight must be float64 of shape \(3, 4\), got float64 of shape \(3, 5\)"),
        ("linear", {"bias": np.ones(3, np.float32)}, r"bias must be float64 of shape \(3,\), got float32 of shape \(3,\)"),
        ("linear", {"activation": 4}, "activation"),
        ("linear", {"activation": -1}, "activation"),
        ("layer_norm", {"x": np.ones((3, 4)), "ndim": 1, "weight": np.ones(3)}, r"weight must be float64 of shape \(4,\)"),
        ("layer_norm", {"ndim": 0}, "ndim"),
        ("rms_norm", {"ndim": 9}, "ndim"),
        ("add_layer_norm", {"ndim": -1}, "ndim"),
        ("gelu", {"x": np.ones(3, np.int64)}, r"x must be of a float type, got (int64|Long) of shape \(3,\)"),
        ("bias_gelu", {"x": np.ones((3, 4)), "bias": np.ones(1000)}, r"bias must be float64 of shape \(4,\), got .*\(1000,\)"),
        ("bias_gelu", {"x": np.ones(())}, "x must have an axis"),
        ("geglu", {"x": np.ones((4, 6)), "dim": 9}, "dim must be one of the 2 axes, got 9"),
        ("geglu", {"x": np.ones((4, 6)), "dim": -3}, "dim"),
        ("geglu", {"x": np.ones((4, 5)), "dim": 1}, "even"),
        ("gather", {"dim": 9}, "dim"),
        ("gather", {"dim": -9}, "dim"),
        ("gather", {"x": np.ones((4, 5)), "index": np.zeros((5, 9), np.int64), "dim": 1}, "larger"),
        ("scatter_add", {"x": np.ones((1, 1, 1)), "dim": 0}, "larger"),
        ("index_add", {"index": np.zeros((1, 1), np.int64)}, "index must have one"),
        ("index_add", {"x": np.ones((4, 9))}, "src must be float64 of shape"),
    ],
)
def test_the_message_says_what_is_wrong(op, wrong, match, library):
    refuses(library, op, "forward", good_call(op, "forward") | wrong, match)


@every_library
def test_options_of_backward_are_checked(library):
    refuses(library, "geglu", "backward", good_call("geglu", "backward") | {"dim": 9}, "dim")
    refuses(library, "gather", "backward", good_call("gather", "backward") | {"shape": (4,), "dim": 0}, "index")
    refuses(library, "embedding", "backward", good_call("embedding", "backward") | {"num_embeddings": -1}, "num_embeddings")

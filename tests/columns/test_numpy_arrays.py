"""The compiled kernels on NumPy arrays, against the numpy column; and what they and torch's raw operators refuse."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from typing import Callable

import numpy as np
import pytest
import torch
from column_cases import CASES, STATISTICS, Case, parameters
from test_columns_agree import assert_close, to, to_numpy

from scratchnet import _compiled
from scratchnet.registry import OPS

pytestmark = pytest.mark.skipif(_compiled.module is None, reason=_compiled.reason)
RUNGS = ("cpp:1", "cpp:2")


class ArrayCase(Case):
    """A case with two more columns, "cpp:1" and "cpp:2": the compiled kernels. `called` has the arguments of the last call."""

    def kernel(self, column: str, way: str) -> Callable:
        if column not in RUNGS:
            return super().kernel(column, way)
        like = super().kernel("numpy", way)
        compiled, rung = getattr(_compiled.module, f"{self.op}_{way}"), int(column[-1])

        @functools.wraps(like)
        def call(*args):
            self.called = dict(zip(parameters(like), args, strict=True))
            return compiled(*args, rung)

        return call

    def run(self, column: str, args: dict, upstream: dict | None = None) -> dict:
        """Outputs by name, gradients as "d" + name."""
        outputs = self.run_forward(column, args)
        if upstream is None:
            upstream = to_numpy(self.upstream(outputs))
        grads = self.run_backward(column, upstream, args, outputs)
        return outputs | {f"d{name}": grads[name] for name in self.wanted}


ARRAY_CASES = [ArrayCase(**vars(case)) for case in CASES]
FIRST = {op: next(case for case in ARRAY_CASES if case.op == op) for op in OPS}  # has every argument that is a tensor
for case in ARRAY_CASES:
    if case.smooth and sum(v is not None for v in case.args.values()) > sum(v is not None for v in FIRST[case.op].args.values()):
        FIRST[case.op] = case
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


def every_second(a: np.ndarray) -> np.ndarray:
    wide = np.zeros([2 * n for n in a.shape], a.dtype)
    view = wide[(slice(None, None, 2),) * a.ndim]
    view[...] = a
    return view


LAYOUTS = {
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "transposed": lambda a: np.array(a, order="F"),
    "every second": every_second,
    "backwards": lambda a: np.flip(np.ascontiguousarray(np.flip(a))),
    "subclass": lambda a: a.view(np.memmap),
}


@every_rung
@pytest.mark.parametrize("layout", LAYOUTS)
@every_op
def test_any_layout(op, layout, rung):
    case = FIRST[op]
    args = changed(to_numpy(case.args), np.ascontiguousarray)
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
    case = FIRST[op]
    args = to(case.args, dtype=dtype)
    upstream = to(case.upstream(case.run_forward("reference", args)), dtype=dtype)
    actual = case.run(rung, to_numpy(args), to_numpy(upstream))
    expected = case.run("numpy", to_numpy(to(args, dtype=torch.float64)), to_numpy(to(upstream, dtype=torch.float64)))
    for name, oracle in expected.items():
        if np.size(oracle) == 0:
            continue
        type_ = np.float64 if name == "lse" else np.float32 if name in STATISTICS else to_numpy(args)[case.wanted[0]].dtype
        assert actual[name].dtype == type_, name
        bits = np.finfo(type_)
        scale = max(1.0, np.abs(oracle).max())
        bound = bits.eps / 2 * np.abs(oracle) + bits.smallest_subnormal + 64 * np.finfo(np.float32).eps * scale
        assert (np.abs(actual[name] - oracle) <= bound).all(), name


def test_threads_are_those_that_torch_is_told():
    """Three threads work when torch is told so, and none beside the caller when it is told one; the bits are the same."""
    code = """if True:
        import os, numpy as np, torch
        from scratchnet import _compiled
        module, x = _compiled.module, np.random.default_rng(0).standard_normal((600, 700))
        weight, count = x[0].copy(), lambda: len(os.listdir("/proc/self/task"))
        def results():
            y, mean, rstd = module.layer_norm_forward(x, weight, weight, 1, 1e-5, 2)
            return [y, *module.layer_norm_backward(x, x, mean, rstd, weight, 1, 1e-5, True, True, True, 2),
                    module.gelu_forward(x, False, 2), module.matmul_forward(x, x.T, 2), module.softmax_forward(x, 1, 2)]
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
CHECKED = [op for op in OPS if OPS[op].primitive != "cross_entropy"]
every_library = pytest.mark.parametrize("library", ["numpy", "torch"])


def good_call(op: str, way: str) -> dict:
    """The arguments of a call that works, by name."""
    case = FIRST[op]
    case.run("cpp:2", to_numpy(case.args)) if way == "backward" else case.run_forward("cpp:2", to_numpy(case.args))
    return dict(case.called)


def refuses(library: str, op: str, way: str, args: dict, match: str, rung: int = 2) -> None:
    """The call raises RuntimeError in words that begin with its name, and leaves the arguments as they were."""
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


@every_library
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", CHECKED)
def test_every_tensor_is_checked(op, way, library):
    args = good_call(op, way)
    arrays = {name: v for name, v in args.items() if isinstance(v, np.ndarray)}
    first = next(name for name in args if name == {"gather": "x", "embedding": "weight"}.get(op, name) or way == "backward")
    for name, array in arrays.items():
        other = np.float32 if array.dtype == np.float64 else np.int32
        refuses(library, op, way, args | {name: array.astype("i8" if array.dtype == np.float64 else "f8")}, "")
        if len(arrays) > 1 and (name != first or array.dtype == np.int64):
            refuses(library, op, way, args | {name: array.astype(other)}, name)
        if name != first and (op, way, name) != ("embedding", "forward", "index"):
            for wrong in (np.ones(array.size + 1000), np.ones(array.shape[:-1] + (array.shape[-1] - 1,)), np.ones(()), array[None]):
                if (op, way, name) != ("gather", "forward", "index") or wrong.ndim != array.ndim:
                    refuses(library, op, way, args | {name: wrong.astype(array.dtype)}, name)


@every_library
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", CHECKED)
def test_rung_must_exist(op, way, library):
    for rung in (-1, 0, 3, 7):
        refuses(library, op, way, good_call(op, way), f"no rung {rung}", rung)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", CHECKED)
def test_foreign_numbers_are_refused(op, way):
    args = good_call(op, way)
    for name, array in args.items():
        if isinstance(array, np.ndarray):
            refuses("numpy", op, way, args | {name: array.astype(array.dtype.newbyteorder(">"))}, name)
            memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
            misaligned = memory.view(array.dtype)[: array.size].reshape(array.shape)
            misaligned[...] = array
            refuses("numpy", op, way, args | {name: misaligned}, f"{name} .*misaligned")


@every_library
@pytest.mark.parametrize(
    "op, wrong, match",
    [
        ("matmul", {"a": np.ones((3, 4)), "b": np.ones((3, 4))}, "rows"),
        ("matmul", {"a": np.ones((2, 3, 4)), "b": np.ones((5, 4, 3))}, "batch"),
        ("matmul", {"a": np.ones(4), "b": np.ones(4)}, "at least two"),
        ("linear", {"x": np.ones(())}, "x must have an axis"),
        ("linear", {"activation": 4}, "activation"),
        ("linear", {"activation": -1}, "activation"),
        ("layer_norm", {"ndim": 0}, "ndim"),
        ("rms_norm", {"ndim": 9}, "ndim"),
        ("add_layer_norm", {"ndim": -1}, "ndim"),
        ("bias_gelu", {"x": np.ones(())}, "x must have an axis"),
        ("geglu", {"dim": 9}, "dim"),
        ("geglu", {"dim": -3}, "dim"),
        ("geglu", {"x": np.ones((3, 5))}, "even"),
        ("gather", {"dim": 2}, "dim"),
        ("gather", {"dim": -3}, "dim"),
        ("gather", {"index": np.zeros((3, 9), np.int64)}, "larger"),
    ],
)
def test_options_are_checked(op, wrong, match, library):
    refuses(library, op, "forward", good_call(op, "forward") | wrong, match)


@every_library
def test_options_of_backward_are_checked(library):
    refuses(library, "geglu", "backward", good_call("geglu", "backward") | {"dim": 9}, "dim")
    refuses(library, "gather", "backward", good_call("gather", "backward") | {"shape": (4,)}, "index")
    refuses(library, "embedding", "backward", good_call("embedding", "backward") | {"num_embeddings": -1}, "num_embeddings")

"""Beside what else can be installed: one call of another package, of torch's and of ours, in turns in one process.

Each package is optional; one that is missing or does not run here is skipped with a sentence. The forward pass alone: most have
no other. bitsandbytes is measured in a step of AdamW, whose moments it keeps in 8 bits.
"""

import argparse
import ctypes
import importlib
import os
import runpy
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

import scratchnet
from scratchnet.cli import markdown
from scratchnet.measure import machine, verify
from scratchnet.measure.bench import Call, Spread, interleave
from scratchnet.ops import OPS

OPTIM = runpy.run_path(str(Path(__file__).with_name("optim.py")))
IN_CACHE = (256, 768)  # beside an operator's own first size, which exceeds the caches
WRONG = 100  # times our error or torch's: a result that is further off has no speed
JUDGED = 256  # rows: every operator here treats each row of its first argument by itself
Make = Callable[[Call], Callable[[], Any]]  # a call -> the same with the peer's function


class Peer(NamedTuple):
    """A package, which operators it has, how it is loaded, and on how many threads it runs; 0: on torch's number."""

    package: str
    ops: tuple[str, ...]
    load: Callable[[], Make]
    threads: int = 0


def _onnxruntime() -> Make:
    import onnxruntime
    from onnx import TensorProto, helper

    nodes = {"layer_norm": "LayerNormalization", "gelu": "Gelu", "softmax": "Softmax", "matmul": "MatMul"}
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    spins = "0" if os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive" else "1"  # as the others' threads do
    settings.add_session_config_entry("session.intra_op.allow_spinning", spins)

    def make(call: Call) -> Callable:
        feed = {f"input{i}": x.detach().numpy() for i, x in enumerate(call.args) if isinstance(x, Tensor)}
        options = (
            {"epsilon": call.kwargs["eps"]} if call.op.name == "layer_norm" else {}
        )  # axis -1, the exact GELU: its defaults
        node = helper.make_node(nodes[call.op.name], list(feed), ["y"], **options)
        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        graph = helper.make_graph([node], call.op.name, list(map(value, feed)), [value("y")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=providers)
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(x) for name, x in feed.items()}
        return lambda: session.run_with_ort_values(["y"], values)[0]  # no copy of what goes in or comes out

    return make


def _zentorch() -> Make:
    importlib.import_module("zentorch")  # registers its backend

    def make(call: Call) -> Callable:
        torch._dynamo.reset()  # else the next size would be a dynamic one
        compiled = torch.compile(call.op.torch, backend="zentorch")
        return lambda: compiled(*call.args, **call.kwargs)

    return make


def _simd_ml_kernels() -> Make:
    import simd_ml_kernels as simd

    simd.set_num_threads(1)
    functions = {
        "layer_norm": lambda x, shape, weight, bias, eps: simd.layer_norm(x, weight, bias, eps),
        "gelu": simd.gelu,
        "softmax": simd.softmax,
        "matmul": simd.sgemm,
    }

    def make(call: Call) -> Callable:
        args = [x.detach().numpy() if isinstance(x, Tensor) else x for x in call.args]
        return lambda: functions[call.op.name](*args, **call.kwargs)

    return make


def _openblas(bits: int) -> Make:
    package = importlib.import_module(f"scipy_openblas{bits}")
    library = ctypes.CDLL(str(Path(package.get_lib_dir()) / package.get_library(fullname=True)))
    suffix, size = ("", ctypes.c_int32) if bits == 32 else ("64_", ctypes.c_int64)
    library[f"scipy_openblas_set_num_threads{suffix}"](ctypes.c_int(torch.get_num_threads()))
    gemm, pointer = library[f"scipy_cblas_sgemm{suffix}"], ctypes.c_void_p
    matrix = [pointer, size]
    gemm.argtypes = [*[ctypes.c_int] * 3, *[size] * 3, ctypes.c_float, *matrix, *matrix, ctypes.c_float, *matrix]
    gemm.restype = None

    def make(call: Call) -> Callable:
        a, b = (x.detach() for x in call.args)
        (m, k), n = a.shape, b.shape[1]

        def product() -> Tensor:
            c = torch.empty(m, n)
            gemm(101, 111, 111, m, n, k, 1.0, a.data_ptr(), k, b.data_ptr(), n, 0.0, c.data_ptr(), n)  # by rows, as stored
            return c

        return product

    return make


def _hugging_face() -> Make:
    from kernels import get_kernel

    layer = get_kernel("kernels-community/rmsnorm", version=1).layers.RMSNorm

    def make(call: Call) -> Callable:
        x, _, weight = call.args
        norm = SimpleNamespace(weight=weight, variance_epsilon=call.kwargs["eps"])  # as the layer of a model has them
        return lambda: layer.forward(norm, x)

    return make


FOUR = ("layer_norm", "gelu", "softmax", "matmul")
PEERS = (
    Peer("onnxruntime", FOUR, _onnxruntime),
    Peer("zentorch", FOUR, _zentorch),
    Peer("simd-ml-kernels", FOUR, _simd_ml_kernels, threads=1),
    Peer("scipy-openblas32", ("matmul",), lambda: _openblas(32)),
    Peer("scipy-openblas64", ("matmul",), lambda: _openblas(64)),
    Peer("kernels", ("rms_norm",), _hugging_face),
)


def beside(peer: Peer, make: Make, quick: bool) -> Iterator[tuple[str, ...]]:
    """A line of the table for every call that a peer has too."""
    for op in map(OPS.get, peer.ops):
        for size in [IN_CACHE] if quick else [IN_CACHE, op.sizes[0]]:
            call, ours = Call.drawn(op, next(iter(op.examples)), *size, torch.float32, "cpu"), verify.function(op)
            calls = {None: call.forward(op.torch), "cpp": call.forward(ours), peer.package: torch.no_grad()(make(call))}
            with scratchnet.backend("cpp"):
                results = [calls[name]() for name in ("cpp", None, peer.package)]
            (x, *rest), kwargs = verify.on_tensors(lambda t: t.detach().double(), call.args, call.kwargs)
            with scratchnet.backend("numpy"):
                exact = ours(x[:JUDGED], *rest, **kwargs)
            errors = [(_tensor(result)[:JUDGED] - exact).abs().max().item() for result in results]
            if not errors[2] <= WRONG * max(errors[:2]):  # also for NaN
                del calls[peer.package]
            times = interleave(calls, 0.2 if quick else 2.0, "cpu", cold=False)
            yield _line(f"{peer.package} {version(peer.package)}", op.name, f"{size[0]}x{size[1]}", times, errors)


def _tensor(result: Any) -> Tensor:
    return torch.as_tensor(result.numpy() if hasattr(result, "numpy") else result)  # a Tensor, an OrtValue or an array


def bitsandbytes(quick: bool) -> Iterator[tuple[str, ...]]:
    """Its AdamW beside torch's and ours, the lines of the table."""
    import bitsandbytes as bnb

    makers = {"cpp": OPTIM["OPTIMIZERS"][OPTIM["OURS"]], None: OPTIM["OPTIMIZERS"][OPTIM["FUSED"]]}
    makers["bitsandbytes"] = bnb.optim.AdamW8bit
    for count in OPTIM["QUICK" if quick else "COUNTS"][:2]:
        results = OPTIM["measure"](count, makers, 0.2 if quick else 2.0)
        times, errors = ({name: result[part] for name, result in results.items()} for part in (0, 1))
        size = f"{count}x{'x'.join(map(str, OPTIM['SHAPE']))}"
        yield _line(f"bitsandbytes {version('bitsandbytes')}", "AdamW, 8 bits", size, times, list(errors.values()))


def _line(package: str, op: str, size: str, times: dict[str | None, list[float]], errors: list[float]) -> tuple[str, ...]:
    """errors: ours, torch's, theirs."""
    own, ours, *theirs = times[None], times["cpp"], *(took for name, took in times.items() if name not in (None, "cpp"))
    ratios = str(Spread.ratio(own, ours)), str(Spread.ratio(theirs[0], ours)) if theirs else "WRONG"
    threads, ms = str(torch.get_num_threads()), f"{Spread.of(ours).median * 1e3:.3g}"
    return package, op, size, threads, ms, *ratios, " / ".join(f"{error:.0e}" for error in errors)


def measure(quick: bool) -> tuple[list[tuple[str, ...]], list[str]]:
    """The lines of the table, and a sentence for every package that is skipped."""
    lines, skipped, most = [], [], torch.get_num_threads()
    for peer in PEERS:
        try:
            torch.set_num_threads(peer.threads or most)
            lines += beside(peer, peer.load(), quick)
        except Exception as error:  # whatever a package that does not run here raises
            skipped.append(_skipped(peer.package, error))
        finally:
            torch.set_num_threads(most)
    try:
        lines += bitsandbytes(quick)
    except Exception as error:
        skipped.append(_skipped("bitsandbytes", error))
    return lines, skipped


def _skipped(package: str, error: Exception) -> str:
    return f"{package} is skipped: {' '.join(str(error).split())}"


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    markdown.add_readme("peers", parser)
    args = parser.parse_args(argv)
    measured, skipped = measure(args.quick)
    header = ("package", "operator", "size", "threads", "ours, ms", "torch / ours", "package / ours")
    lines = [(*header, "error: ours / torch / package"), *measured]
    caption = (
        f"{machine.measured(machine.facts(), 'cpu')} Forward, float32, the first example of each operator; torch's AdamW is "
        "the fused one. Time / our time, median (quartiles) of runs in turns: above 1 we are faster. Error: largest difference "
        f"from the float64 oracle in the first {JUDGED} rows. {'. '.join([*skipped, ''])}"
    ).strip()
    markdown.report("peers", args.readme, lines, caption)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The GPU columns on one large call of each operator, beside torch's own, torch.compile and, where it is installed, Liger.

A line for each direction, with warm and with cold caches, as soon as it is measured: a run that is cut short keeps its lines.
`scratchnet bench --device cuda` has every size and example. With --once each primitive runs once per column, between the calls
that start and stop a profiler: `ncu --profile-from-start off python benchmarks/gpu.py --once`.
"""

import argparse
import contextlib
import csv
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import scratchnet
from scratchnet import backends
from scratchnet.cli import options
from scratchnet.measure import bench, machine, memory, verify
from scratchnet.measure.bench import Call, Measurement, Settings, Spread, Timing
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS, PRIMITIVES

# Rows and columns: several times the last cache in bfloat16, and so long that a kernel outlasts its launch.
SIZES = {
    "attention": (4096, 128), "cross_entropy": (8192, 32000), "softmax": (16384, 4096), "linear_cross_entropy": (8192, 2048),
    "gather": (8192, 8192), "embedding": (2048, 2048), "gelu": (16384, 4096), "bias_gelu": (16384, 4096),
    "geglu": (16384, 4096), "gated": (16384, 4096), "layer_norm": (16384, 4096), "rms_norm": (16384, 4096),
    "add_layer_norm": (16384, 4096), "dropout": (16384, 4096), "matmul": (8192, 4096), "linear": (8192, 8192),
    "rope": (65536, 128),
}  # fmt: skip
SMALL = (17, 33)  # for the interpreter
COLUMNS = {"cuda": ("cuda", "triton"), "cpu": ("cpp", "triton")}  # without a GPU every line of this file runs all the same
# Liger's functions with the arguments of ours; two write into what they are given, so they get tensors of their own.
LIGER: dict[str, Callable] = {
    "layer_norm": lambda liger: lambda x, shape, weight, bias, eps: liger.liger_layer_norm(x, weight, bias, eps),
    "rms_norm": lambda liger: lambda x, shape, weight, eps: liger.liger_rms_norm(x, weight, eps, in_place=False),
    "softmax": lambda liger: lambda x, dim: liger.liger_softmax(x),
    "gated": lambda liger: lambda x, gate, activation: liger.liger_swiglu(x, gate),
    "cross_entropy": lambda liger: liger.liger_cross_entropy,
    "linear_cross_entropy": lambda liger: liger.liger_fused_linear_cross_entropy,
}
FIELDS = (
    "op", "size", "dtype", "what", "direction", "caches", "ms", "x_torch", "x_compile", "GB/s", "TFLOP/s", "share_of_roof",
    "error", "torch_error",
)  # fmt: skip
Row = dict[str, str | float]


def sized(name: str, device: str) -> tuple[int, int]:
    """Rows and columns."""
    return SIZES[name] if device == "cuda" else SMALL


def columns(device: str) -> tuple[str, ...]:
    """Those that run here."""
    return tuple(name for name in COLUMNS[device] if backends.runs(name, device))


def peaks(call: Call, names: tuple[str, ...], device: str) -> dict[str, int | None]:
    """What runs -> the bytes that a call with its gradients takes; torch's own under "torch"."""
    found = {"torch": memory.peak(call.both(call.op.torch), device)}
    for name in names:
        with scratchnet.backend(name):
            found[name] = memory.peak(call.both(verify.function(call.op)), device)
    return found


def row(result: Measurement, timing: Timing) -> Row:
    """What one line says."""
    values = (
        result.op, f"{result.rows}x{result.columns}", result.dtype, result.backend, timing.direction, timing.cache,
        timing.seconds.median * 1e3, timing.ratio.median, timing.compiled_ratio.median if timing.compiled_ratio else "",
        timing.gigabytes, timing.gigaflops / 1e3, timing.share, result.check.error, result.check.torch_error,
    )  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))


def liger(name: str, size: tuple[int, int], settings: Settings) -> Iterator[Row]:
    """Liger beside torch's own: its time, and torch's time / that."""
    from liger_kernel.transformers import functional

    op, example = OPS[name], next(iter(OPS[name].examples))
    own, theirs = (Call.drawn(op, example, *size, settings.dtype, settings.device) for _ in range(2))
    function = LIGER[name](functional)
    error = (function(*theirs.args, **theirs.kwargs) - op.torch(*own.args, **own.kwargs)).abs().max().item()
    calls = {None: own.both(op.torch), "liger": theirs.both(function)}
    for cache in ("warm", "cold"):
        times = bench.interleave(calls, settings.seconds, settings.device, cache == "cold")
        took, ratio = Spread.of(times["liger"]), Spread.ratio(times[None], times["liger"])
        told = name, f"{size[0]}x{size[1]}", str(settings.dtype).removeprefix("torch."), "liger", "forward+backward", cache
        yield dict(zip(FIELDS, (*told, took.median * 1e3, ratio.median), strict=False)) | {"error": error}


def measure(name: str, settings: Settings) -> Iterator[Row]:
    """The lines of one operator. RuntimeError, after those of the right columns, if the result of another is wrong."""
    size, example = sized(name, settings.device), next(iter(OPS[name].examples))
    results = bench.case(OPS[name], example, *size, settings)
    for result in results:
        yield from (row(result, timing) for timing in result.timings)
    right = tuple(result.backend for result in results if result.check.ok)
    call = Call.drawn(OPS[name], example, *size, settings.dtype, settings.device)
    taken = {what: f"{peak / 1e6:.0f} MB" for what, peak in peaks(call, right, settings.device).items() if peak is not None}
    print(f"{name}: peak memory of forward and backward: {taken}", flush=True)
    if wrong := [f"{result.backend}: {result.check}" for result in results if not result.check.ok]:
        raise RuntimeError(f"WRONG on {', '.join(wrong)}")
    if name in LIGER and settings.device == "cuda" and importlib.util.find_spec("liger_kernel"):
        yield from liger(name, size, settings)


def once(names: list[str], dtype: torch.dtype, device: str) -> None:
    """Each primitive's forward on each column, warm, for a profiler."""
    for name in names:
        call = Call.drawn(OPS[name], next(iter(OPS[name].examples)), *sized(name, device), dtype, device)
        run = call.forward(verify.function(OPS[name]))
        for column in columns(device):
            with scratchnet.backend(column):
                run()
                with torch.cuda.profiler.profile() if device == "cuda" else contextlib.nullcontext():
                    run()
            print(f"{name} on {column}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Measure and print. 1 if a result was wrong or a call failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    options.add_operator(parser)
    options.add_device(parser)
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--seconds", type=float, default=0.3, help="for a direction, all candidates (default: %(default)s)")
    parser.add_argument("--csv", type=Path, default=os.devnull, metavar="FILE", help="write every line, with the machine")
    parser.add_argument("--once", action="store_true", help="run each primitive once, for a profiler")
    args = parser.parse_args(argv)
    dtype, names = getattr(torch, args.dtype), [op.name for op in options.operators(args) if op.name in SIZES]
    if args.once:
        once([name for name in names if name in PRIMITIVES], dtype, args.device)
        return 0
    on_gpu, facts = args.device == "cuda", machine.facts(args.device)
    roof = Roof.measure(args.device, dtype)
    settings = Settings(columns(args.device), dtype, args.seconds, roof, args.device, compile=on_gpu, cold=True)
    print(machine.measured(facts, args.device), "The roof:", roof, flush=True)
    facts |= {"roof_GB/s": roof.bandwidth / 1e9, "roof_TFLOP/s": roof.arithmetic / 1e12}
    failed = False
    with args.csv.open("w", newline="") as file:
        table = csv.DictWriter(file, [*FIELDS, *facts])
        table.writeheader()
        for name in names:
            try:
                for line in measure(name, settings):
                    print(
                        *(f"{value:.3g}" if isinstance(value, float) else value for value in line.values()),
                        sep="  ",
                        flush=True,
                    )
                    table.writerow(line | facts)
                    file.flush()
            except Exception as error:  # what one operator raises must not cost the figures of the others
                failed = True
                print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())

"""`scratchnet info`: what is compiled, what runs here and why, and what is missing with the command that adds it."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import re
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from scratchnet import _compiled, backends, profile
from scratchnet.cli import options
from scratchnet.measure import machine
from scratchnet.measure.gpu_code import cuda as cuda_code
from scratchnet.measure.gpu_code import triton as triton_code
from scratchnet.ops import BACKENDS, OPS, PRIMITIVES, Op


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet info`."""
    parser.add_argument("--json", action="store_true", help="the same facts as JSON")
    what = "instead: compile the GPU kernels and show registers, spills, shared memory, instructions (needs no GPU)"
    parser.add_argument("--kernels", action="store_true", help=what)


def run(args: argparse.Namespace) -> int:
    """Print what `gather` found, or what the GPU kernels compile to."""
    if args.kernels:
        return _kernels(args.json)
    facts = gather()
    if args.json:
        print(json.dumps(facts, indent=2))
        return 0
    screen = options.console()
    for title, columns, rows in _tables(facts):
        table = Table(*columns, title=title, title_justify="left", show_header=any(columns), min_width=80)
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        screen.print(table)
    return 0


def _kernels(as_json: bool) -> int:
    """The machine code of every Triton kernel for every target, in float32 and bfloat16, and of the CUDA kernels as built."""
    problems = [backends.missing("triton"), _compiled.cuda_reason or cuda_code.missing()]
    if all(problems):
        raise SystemExit("\n".join(problems))
    screen = options.console()
    names = [] if problems[0] else [name for name, op in OPS.items() if op.rungs("triton")]
    wanted = [([name], dtype) for name in names for dtype in ("float32", "bfloat16")]
    with options.progress(screen) as progress:
        codes = [code for one in progress.track(wanted, description="compile") for code in triton_code.report(*one)]
    if not problems[1]:
        codes += cuda_code.report(Path(_compiled.cuda.__file__))
    if as_json:
        print(json.dumps([dataclasses.asdict(code) for code in codes], indent=2))
        return 0
    table = Table(*(field.name.replace("_", " ") for field in dataclasses.fields(triton_code.Code)))
    for code in codes:
        table.add_row(*(escape(str(value)) for value in dataclasses.astuple(code)))
    screen.print(table)
    for problem in filter(None, problems):
        screen.print(problem, markup=False)
    return 0


def gather() -> dict:
    """Everything that `scratchnet info` says, as plain data."""
    module = _compiled.module
    return {
        "compiled": module.build_info() if module else {"reason": _compiled.reason, "details": _compiled.details},
        "running": machine.facts()
        | {
            "isas_supported": module.cpu_info()["isas_supported"] if module else [],
            "SCRATCHNET_CPU_ISA": os.environ.get("SCRATCHNET_CPU_ISA", ""),
            "backend_named": backends.current() or "",
            "profile": profile.where() if module else "",
            "profiles_ignored": profile.active().ignored if module else (),
        },
        "operators": [
            {
                "op": op.name,
                "primitive": op.primitive,
                "backend": backends.current() or backends.default(),
                "why": _why(op),
                "idea": op.idea,
            }
            for op in OPS.values()
        ],
        "backends": {
            name: {
                "what": column.what,
                "devices": column.devices,
                "rungs": {op: OPS[op].rungs(name) for op in PRIMITIVES},
                "missing": backends.missing(name),
            }
            for name, column in BACKENDS.items()
        },
        "packages": _packages(),
    }


def _why(op: Op) -> str:
    if backends.current():
        return "named by SCRATCHNET_BACKEND or backend(...)"
    return backends.missing("cpp") or profile.why(op.name)


def _packages() -> list[dict]:
    """The optional packages as the installed metadata lists them."""
    uses: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("scratchnet") or ():
        optional = re.match(r"([\w.-]+).*extra == [\"'](\w+)[\"']", requirement)
        if optional:
            uses.setdefault(optional[1], []).append(optional[2])
    return [{"package": name, "for": " and ".join(extras), "version": _version(name)} for name, extras in uses.items()]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _tables(facts: dict) -> list[tuple[str, tuple[str, ...], list[tuple]]]:
    """(title, column heads, rows) of each table."""
    compiled, running = facts["compiled"], facts["running"]
    isas = running["isas_supported"]
    choice = f" (of {', '.join(isas)}; SCRATCHNET_CPU_ISA chooses)" if len(isas) > 1 else ""
    settings = {
        "machine": f"{running['machine']}, {running['cores']} cores",
        "instruction set": f"{running['isa'] or 'none'}{choice}",
        "threads": f"{running['threads']} (torch's pool; torch.set_num_threads changes it)",
        "OMP_WAIT_POLICY": running["OMP_WAIT_POLICY"] or "not set: idle threads spin; =passive is better on a shared machine",
        "backend": running["backend_named"] or "none named: the faster one of cpp and torch (SCRATCHNET_BACKEND names one)",
        "profile": "; ".join((running["profile"] or "none: torch's own functions run", *running["profiles_ignored"])),
        "torch": running["torch"],
        "python": running["python"],
    }
    rungs = [
        (primitive, f"{name}:{rung}", idea)
        for primitive in PRIMITIVES
        for name, column in facts["backends"].items()
        for rung, idea in enumerate(column["rungs"].get(primitive, ()), 1)
        if len(column["rungs"][primitive]) > 1
    ]
    columns = [(name, c["what"], ", ".join(c["devices"]), c["missing"] or "ready") for name, c in facts["backends"].items()]
    packages = [(p["package"], p["for"], p["version"] or f"missing: pip install {p['package']}") for p in facts["packages"]]
    return [
        ("compiled", ("", ""), [(name, " ".join(v) if isinstance(v, list) else v) for name, v in compiled.items() if v]),
        ("running", ("", ""), list(settings.items())),
        ("backends", ("backend", "what it is", "devices", "here"), columns),
        (
            "what runs on CPU tensors, in float32 (scratchnet tune --show has all)",
            ("operator", "primitive", "backend", "why", "what it computes"),
            [(o["op"], o["primitive"], o["backend"], o["why"], o["idea"]) for o in facts["operators"]],
        ),
        ("rungs, the last one is in use", ("primitive", "rung", "idea"), rungs),
        ("optional packages", ("package", "for", "version"), packages),
    ]

"""How a reader's kernel is graded: is it filled in, is it right, is it the reader's, does memory move as the exercise says?

C++ is judged by `scratchnet.checker`; CUDA C++ and Triton, which are emulated and slow, by the same rule at a few small sizes,
on the plain call of the primitive. That the idea of the exercise is in the kernel is read off the trace of one call (bytes,
cache misses, threads, ...): no verdict depends on a clock.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Callable, Iterable

import torch
from torch import Tensor

from scratchnet import checker
from scratchnet.checker import Contract, KernelError, borrowed, questions
from scratchnet.checker.questions import RULE
from scratchnet.course.apart import apart
from scratchnet.course.kernels import Exercise, Proof, without_comments
from scratchnet.course.kernels.trace import Seen, Traced
from scratchnet.measure.verify import Call
from scratchnet.ops import OPS

SIZES = ((1, 1), (3, 2), (17, 31), (2, 129), (65, 3), (33, 66))  # of emulated calls
EMULATED = 7  # a seed that nobody else has: what is right for the numbers of others may be in this process's memory
Results = tuple[Tensor | None, ...]
Answers = Iterable[tuple[str, Results]]  # what is wrong whatever the numbers are, "" if nothing, and the numbers


def grade(exercise: Exercise, path: Path) -> list[str]:
    """What is wrong with the kernel in a file, the lines of one problem; [] if nothing is."""
    text = path.read_text(encoding="utf-8")
    if text == exercise.stub.read_text(encoding="utf-8"):
        return [
            f"{path} is still as you got it" + (": fill it in" if exercise.number[0] == "K" else ": the bug is still there")
        ]
    try:
        wrong = JUDGES[exercise.language](exercise, path)
        if not wrong:
            wrong = [
                sentence for pattern, sentence in exercise.needs if not re.search(pattern, without_comments(text, path.suffix))
            ][:1]
        for proof in exercise.proofs if not wrong else ():
            wrong = wrong or _unproved(proof, look(exercise, path, proof.rows, proof.columns, proof.times))
        return wrong
    except KernelError as error:
        return [str(error)]


def look(exercise: Exercise, path: Path, rows: int, columns: int, times: float = 1.0) -> Seen:
    """What a C++ or CUDA kernel moves at one size; KernelError says why it cannot be called."""
    contract = Contract(OPS[exercise.primitive])
    call = Call.make(contract.op, examples(exercise, contract)[0], rows, columns, torch.float32, _times(times))
    return next(Traced(path, contract, exercise.direction).calls([call], counting=True))


def examples(exercise: Exercise, contract: Contract) -> list[str]:
    """The example calls of the operator that a kernel with its plain signature is asked for."""
    fits = lambda name: contract.fits(Call.make(contract.op, name, 2, 3, torch.float32))
    return [exercise.example] if exercise.example else [name for name in contract.op.examples if fits(name)]


def _times(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda t: t * factor if t.is_floating_point() else t


def _by_checker(exercise: Exercise, path: Path) -> list[str]:
    (verdict,) = checker.check(checker.load(path, Contract(OPS[exercise.primitive])), exercise.direction)
    return _not_yours(verdict.borrowed) if verdict.ok else checker.explain(verdict)


def _in_triton(exercise: Exercise, path: Path) -> list[str]:
    kernel = checker.load(path, Contract(OPS[exercise.primitive]), "Triton")
    if exercise.direction not in kernel.directions:
        raise KernelError(f"{path} has no function {kernel.contract.python(exercise.direction)}")
    with kernel.on_device():
        asked = _asked(exercise, kernel.contract)
        replies = (kernel.call(exercise.direction, call, keep=False) for call in asked.values())
        wrong = _judged(exercise, kernel.contract, asked, ((reply.problem, reply.results) for reply in replies))
        return wrong or _not_yours(borrowed.whose(kernel, exercise.direction))


def _in_cuda(exercise: Exercise, path: Path) -> list[str]:
    return apart(_emulated, exercise, path)


def _emulated(exercise: Exercise, path: Path) -> list[str]:
    """The kernel runs in a copy of this process, made before there is an answer; what was right for others is not in it."""
    op = OPS[exercise.primitive]
    kernel = Traced(path, Contract(op), exercise.direction)
    asked = _asked(exercise, kernel.contract, seed=EMULATED)
    questions.forget()
    answers = ((seen.report, seen.results) for seen in kernel.calls(list(asked.values())))
    wrong = _judged(exercise, kernel.contract, asked, answers)
    return wrong or _not_yours(borrowed.of_a_call(op, exercise.direction, (), kernel.files))


def _asked(exercise: Exercise, contract: Contract, seed: int = 0) -> dict[str, Call]:
    """In words -> the call."""
    asked = {}
    for (rows, columns), example in itertools.product(SIZES, examples(exercise, contract)):
        for what, factor in (("", 1.0), (", numbers 100 times as large", 100.0)):
            call = Call.make(contract.op, example, rows, columns, torch.float32, _times(factor), seed)
            asked[f"{example} at {rows}x{columns}{what}"] = call
    return asked


def _judged(exercise: Exercise, contract: Contract, asked: dict[str, Call], answers: Answers) -> list[str]:
    """What is wrong with the first answer that is wrong."""
    for (where, call), (problem, results) in zip(asked.items(), answers, strict=True):
        if problem:
            return [f"{where}: {problem}"]
        wrong = [check for check in call.judge(contract.aligned(call, exercise.direction, results), RULE) if not check.ok]
        if wrong:
            return [f"wrong, {where}: {wrong[0]}", *_unwritten(results)]
    return []


JUDGES = {"C++": _by_checker, "Triton": _in_triton, "CUDA C++": _in_cuda}


def _not_yours(whose: str) -> list[str]:
    return [f"right, but it {whose}: write your own"] if whose else []


def _unwritten(results: Results) -> list[str]:
    """NaN that was there before: numbers of the result that nobody wrote."""
    there = [result for result in results if result is not None]
    missing = sum(int(result.isnan().sum()) for result in there)
    total = sum(result.numel() for result in there)
    return (
        [f"{missing} of its {total} numbers are NaN: never written, or made from memory that nobody wrote"] if missing else []
    )


def _unproved(proof: Proof, seen: Seen) -> list[str]:
    """The sentence of a proof that does not hold, with the numbers that were counted."""
    counts = seen.counts
    names = counts | {
        "rows": proof.rows,
        "columns": proof.columns,
        "width": counts["bytes"] / max(1, counts["accesses"]),
        "reads": lambda name: int(seen.reads[name].max()),
        "writes": lambda name: int(seen.writes[name].max()),
    }
    if eval(proof.expression, {"__builtins__": {}}, names):  # the exercise's own text
        return []
    used = re.findall(r"[a-z]+(?:\(\"\w+\"\))?", proof.expression)
    values = {name: eval(name, {"__builtins__": {}}, names) for name in used if name not in ("rows", "columns", "or", "and")}
    counted = ", ".join(f"{name} = {value:.4g}" for name, value in values.items())
    return [
        f"right, but {proof.otherwise}",
        f"counted at {proof.rows} x {proof.columns}: {counted}; needed: {proof.expression}",
    ]

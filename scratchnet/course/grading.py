"""A reader's file runs in a process of its own, which reports what its answers do: whatever happens there, every task gets a
verdict, and in another process.
"""

from __future__ import annotations

import ast
import functools
import linecache
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType, ModuleType
from typing import Callable

import torch

from scratchnet.checker import surroundings
from scratchnet.course.apart import apart, started
from scratchnet.course.calls import Calls
from scratchnet.course.exercise import Task, reported, tasks
from scratchnet.course.facts import same, text
from scratchnet.course.lesson import Lesson
from scratchnet.course.raised import TimeUp, explain
from scratchnet.course.sent import SPOKEN, read, written

LIMIT = 20.0  # seconds for one task
GRACE = 5.0  # more until the process is killed: TimeUp, which knows the line, comes first

Verdicts = dict[str, str | None]
Reports = dict[str, bytes]
Draws = dict[str, int]  # task -> the seed of its numbers


class _Ended(Exception):
    """The process hangs or is gone; the text says so."""


def grade(lesson: Lesson, path: Path, seed: int = 0) -> Verdicts:
    """Task -> what is wrong with the reader's answer in the file `path`, None if it is right; a seed draws other numbers."""
    asked = tasks(lesson)
    names = [task.name for task in asked]
    with Calls() if any(task.without or task.uses for task in asked) else nullcontext():
        same(torch.ones(1), torch.ones(1))  # the first time torch imports half of itself: here, once for every process
    draws: Draws = apart(_draws, lesson, seed) if seed else {}
    reports: Reports = {}
    while left := [name for name in names if name not in reports]:  # a new process if one did not come to its end
        reports |= _in_a_child(lesson, path, left, draws)
    return apart(_verdicts, lesson, draws, reports)


def _draws(lesson: Lesson, seed: int) -> Draws:
    """The numbers for a seed are those by which our solutions and mistakes can be told apart."""
    return {task.name: task.with_seed(seed).seed for task in tasks(lesson)}


def _verdicts(lesson: Lesson, draws: Draws, reports: Reports) -> Verdicts:
    """The only place where what an answer did meets what is right."""
    verdicts: Verdicts = {}
    for task in tasks(lesson):
        try:
            verdicts[task.name] = task.drawn(draws.get(task.name, 0)).verdict(reports[task.name])
        except Exception as error:  # what an answer raises is judged; this comes from our solution
            verdicts[task.name] = _broken(error)
    return verdicts


def _broken(error: Exception) -> str:
    return f"this exercise does not work here, whatever the answer is: {text(error)}"


def _in_a_child(lesson: Lesson, path: Path, names: list[str], draws: Draws) -> Reports:
    """The reports up to the first task in which the process hangs or ends."""
    child, inbox = started(_child, lesson, path, names, draws, daemon=True)
    reports: Reports = {}
    at = str(path)
    try:
        if problem := _problem(_receive(inbox, child, at), at):
            return dict.fromkeys(names, reported(problem=problem))
        for at in names:
            reports[at] = _receive(inbox, child, at)
        child.join(GRACE)  # what the reader's code prints is written out when the process ends
    except _Ended as end:
        return reports | dict.fromkeys([at] if at in names else names, reported(problem=str(end)))
    finally:
        child.kill()
        child.join()
        inbox.close()
    return reports


def _problem(message: bytes, what: str) -> object:
    """What is wrong with the file."""
    try:
        return read(message)
    except ValueError:
        return f"{what}: {SPOKEN}"


def _receive(inbox: Connection, child: BaseProcess, what: str) -> bytes:
    """The report on a task, or what is wrong with the file before its first one; _Ended if none comes."""
    if not inbox.poll(LIMIT + GRACE):
        raise _Ended(f"{what}: no end is in sight after {LIMIT:.0f} seconds, and it cannot be stopped from within")
    try:
        return inbox.recv_bytes()
    except EOFError:
        child.join()
    if child.exitcode < 0:
        raise _Ended(f"{what} crashes the program: {signal.strsignal(-child.exitcode)}")
    raise _Ended(f"{what} ends the program with exit status {child.exitcode} before there is a result: is there an os._exit?")


def _child(outbox: Connection, lesson: Lesson, path: Path, names: list[str], draws: Draws) -> None:
    """Send what is wrong with the file, None if nothing, then a report on each task."""
    torch.set_num_threads(1)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _time_is_up)
    asked = tasks(lesson)
    linecache.clearcache()  # nobody reads what is in there from a file
    opened, _ = surroundings.seen_of(str(path))
    replaced = _watch()
    module = ModuleType(path.stem)
    try:
        source = path.read_text(encoding="utf-8")
        blanks = _blanks(source, path)
        with _limited():
            exec(compile(source, path, "exec"), vars(module))
    except BaseException as error:  # exit() too
        outbox.send_bytes(written(f"{path} does not run: {explain(error, path)}"))
        return
    outbox.send_bytes(written(None))
    for task in asked:
        if task.name in names:
            report = _report(task.drawn(draws.get(task.name, 0)), module, blanks, lesson, path)
            if name := replaced():
                report = reported(problem=f"{path} puts something else in the place of {name}: leave that as it is")
            if any(Path(name).resolve().parent == lesson.solution.parent.resolve() for name in opened):
                report = reported(problem=f"{path} reads our solutions: write your own")
            outbox.send_bytes(report)


def _watch() -> Callable[[], str | None]:
    """A function that says which function of the grader, of torch or of Python was replaced since; None if none was."""

    def parts() -> dict[str, object]:
        found: dict[str, object] = {}
        for name, module in list(sys.modules.items()):
            if name in ("torch", "builtins", "math", "inspect") or name.startswith(("scratchnet.course", "scratchnet.checker")):
                found |= {f"{name}.{key}": value for key, value in vars(module).items() if callable(value)}
        for name, value in list(found.items()):
            if isinstance(value, type) and value.__module__ == name.rpartition(".")[0]:
                found |= {f"{name}.{key}": of_it for key, of_it in vars(value).items() if callable(of_it)}
        return found

    before = parts()

    def replaced() -> str | None:
        now = parts()
        other = {name: now.get(name) for name, value in before.items() if now.get(name) is not value}
        # torch._dynamo wraps a function of torch when it is imported
        return next(
            (name for name, value in other.items() if not str(getattr(value, "__module__", "")).startswith("torch")), None
        )

    return replaced


def _report(task: Task, module: ModuleType, blanks: dict[str, list[int]], lesson: Lesson, path: Path) -> bytes:
    if not callable(answer := getattr(module, task.name, None)):
        return reported(problem=f"{path} has no function {task.name}; the stub had it: {lesson.stub}")
    if lines := blanks.get(task.name):
        several = f", {len(lines)} in all" if len(lines) > 1 else ""
        return reported(problem=f"still blank: fill in the `...` in line {lines[0]} of {path}{several}")
    try:
        return task.report(answer, path, _limited)
    except Exception as error:  # what an answer raises is in its report
        return reported(problem=_broken(error))


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise TimeUp


@contextmanager
def _limited() -> Iterator[None]:
    """Within it, time is up after LIMIT seconds."""
    clock = functools.partial(signal.setitimer, signal.ITIMER_REAL) if hasattr(signal, "setitimer") else lambda seconds: None
    clock(LIMIT)
    try:
        yield
    finally:
        clock(0)


def _blanks(source: str, path: Path) -> dict[str, list[int]]:
    """Function or class -> the lines with a `...` that is not part of an index."""
    blanks = {}
    for part in ast.parse(source, str(path)).body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            indices = {id(node) for index in ast.walk(part) if isinstance(index, ast.Subscript) for node in ast.walk(index)}
            dots = [n for n in ast.walk(part) if isinstance(n, ast.Constant) and n.value is ... and id(n) not in indices]
            blanks[part.name] = sorted(node.lineno for node in dots)
    return blanks

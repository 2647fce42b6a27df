"""How an exercise is graded.

A task is a function (or class) that the reader writes. What counts is not its text but its behaviour: `facts(function)` tries
it and returns name -> value. An answer is right when all its facts equal those of the solution. A wrong one is compared with
the mistakes that come with the task: the mistake with the same wrong facts is the one that was made, and its docstring is what
the reader is told.
"""

from __future__ import annotations

import ast
import functools
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Callable

import numpy as np
import torch
from torch import Tensor

from scratchnet.course.lesson import Lesson
from scratchnet.course.show import describe

Facts = dict[str, object]


class Task:
    """One function of an exercise: its solution, the facts to compare, three hints and the known mistakes.

    reveal: whether the reader is told the right value of a fact; False where that value is itself the answer.
    """

    def __init__(self, solution: Callable, facts: Callable[[Callable], Facts], hints: tuple[str, str, str], reveal: bool):
        self.name, self.solution, self.facts, self.hints, self.reveal = solution.__name__, solution, facts, hints, reveal
        self.mistakes: list[Callable] = []

    def mistake(self, function: Callable) -> Callable:
        """Decorator for a wrong answer; its docstring tells the reader what is wrong and why."""
        self.mistakes.append(function)
        return function

    def __call__(self, *args, **kwargs):
        return self.solution(*args, **kwargs)

    def grade(self, answer: Callable, path: Path | None = None) -> str | None:
        """What is wrong with an answer (from the file `path`), None if it is right."""
        right, seen = self._right, self._try(answer)
        wrong = [fact for fact in right if not same(seen.get(fact), right[fact])]
        if not wrong:
            return None
        fact = wrong[0]
        agreeing = lambda known: sum(same(known.get(name), seen.get(name)) for name in right)
        known = self._known
        fitting = [mistake for mistake in known if same(known[mistake].get(fact), seen.get(fact))]
        if fitting:
            return " ".join(max(fitting, key=lambda mistake: agreeing(known[mistake])).__doc__.split())
        if isinstance(seen.get(fact), Exception):
            return f"{self.name} raises {_text(seen[fact], path)}"
        needed = f"; it should be {_text(right[fact])}" if self.reveal else "; that is not it: run it and look"
        return f"{fact}: yours is {_text(seen.get(fact), path)}{needed}"

    @functools.cached_property
    def _right(self) -> Facts:
        return self._try(self.solution)

    @functools.cached_property
    def _known(self) -> dict[Callable, Facts]:
        """Mistake -> its facts."""
        return {mistake: self._try(mistake) for mistake in self.mistakes}

    def _try(self, answer: Callable) -> Facts:
        """The facts of an answer; if it raises, every fact is that exception."""
        torch.manual_seed(0)
        try:
            return self.facts(answer)
        except Exception as error:  # whatever the reader's code raises becomes its facts
            torch.manual_seed(0)
            return dict.fromkeys(self.facts(self.solution), error)


def task(facts: Callable[[Callable], Facts], hints: tuple[str, str, str], reveal: bool = True) -> Callable[[Callable], Task]:
    """Decorator that makes a solution a Task."""
    return lambda solution: Task(solution, facts, hints, reveal)


def tasks(lesson: Lesson) -> list[Task]:
    """The tasks of a lesson's exercise."""
    module = import_module(f"scratchnet.course.solutions.{lesson.name}")
    return [value for value in vars(module).values() if isinstance(value, Task)]


def grade(lesson: Lesson, path: Path) -> dict[str, str | None]:
    """Task -> what is wrong with the reader's answer in the file `path`, None if it is right."""
    source = path.read_text(encoding="utf-8")
    names = [task.name for task in tasks(lesson)]
    module = ModuleType(path.stem)
    try:
        blanks = _blanks(source)
        exec(compile(source, path, "exec"), vars(module))
    except Exception as error:  # a file that does not run
        return dict.fromkeys(names, f"{path} does not run: {_text(error, path)}")
    verdicts = {}
    for task in tasks(lesson):
        if not callable(answer := getattr(module, task.name, None)):
            verdicts[task.name] = f"{path} has no function {task.name}; the stub had it: {lesson.stub}"
        elif lines := blanks.get(task.name):
            several = f", {len(lines)} in all" if len(lines) > 1 else ""
            verdicts[task.name] = f"still blank: fill in the `...` in line {lines[0]} of {path}{several}"
        else:
            verdicts[task.name] = task.grade(answer, path)
    return verdicts


def same(a: object, b: object) -> bool:
    """Whether two facts are equal; floats up to rounding, exceptions by type and text."""
    if isinstance(b, (list, tuple)) and isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, (Tensor, np.ndarray, float)):
        try:
            torch.testing.assert_close(a, b, equal_nan=True)
        except (AssertionError, TypeError):
            return False
        return True
    if type(a) is not type(b):
        return False
    return str(a) == str(b) if isinstance(b, Exception) else a == b


def _blanks(source: str) -> dict[str, list[int]]:
    """Function or class -> the lines with a `...` that is not part of an index."""
    blanks = {}
    for part in ast.parse(source).body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            indices = {id(node) for index in ast.walk(part) if isinstance(index, ast.Subscript) for node in ast.walk(index)}
            dots = [n for n in ast.walk(part) if isinstance(n, ast.Constant) and n.value is ... and id(n) not in indices]
            blanks[part.name] = sorted(node.lineno for node in dots)
    return blanks


def _text(value: object, path: Path | None = None) -> str:
    """A fact in words; for an exception also the line in the reader's file."""
    if isinstance(value, Exception):
        lines = [frame.lineno for frame in traceback.extract_tb(value.__traceback__) if frame.filename == str(path)]
        return f"{type(value).__name__}: {value}" + (f" (line {lines[-1]} of {path})" if lines else "")
    if isinstance(value, (Tensor, np.ndarray)):
        values = f"{value.tolist()}, " if torch.as_tensor(value).numel() <= 16 else ""
        return values + describe(value)
    return repr(value)

"""An exercise is made of tasks, and this is how an answer to one is judged.

A task is a function (or class) that the reader writes. What counts is not its text but its behaviour: `facts(function)` tries
it and returns name -> value. An answer is right when all its facts equal those of the solution. A wrong one is compared with
the mistakes that come with the task: a mistake whose facts all agree with the answer's is the one that was made, and its
docstring is what the reader is told. One that agrees in part is offered as a guess, after the plain difference.

What an answer did is a report, and the verdict on it may be given in another process: the one in which the answer runs has no
need of the right facts.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Callable

import torch

from scratchnet.course.calls import Watched, returns_a_value, runs
from scratchnet.course.draw import other_numbers
from scratchnet.course.facts import difference, kind, same, tells, text
from scratchnet.course.lesson import Lesson
from scratchnet.course.sent import SPOKEN, read, written

Facts = dict[str, object]
WORDS = "the words of the task"  # the fact that says which of them were broken
DRAWS = 50  # of other numbers for a task, until there are some that tell its mistakes apart


@dataclass(frozen=True)
class Tried:
    """What an answer did, in values that were `written` and `read`."""

    facts: Facts = field(default_factory=dict)
    error: BaseException | None = None  # which it raised; then every fact is that
    asked: list[str] = field(default_factory=list)  # the arguments of its calls
    returned: list[object] = field(default_factory=list)  # and their results
    returns: bool = True  # whether there is a `return` with a value
    problem: str = ""  # what is wrong with it whatever it computes


def reported(**told) -> bytes:
    """A report of a process in which an answer runs."""
    return written(told)


class Task:
    """One function of an exercise: its solution, the facts to compare, three hints and the known mistakes.

    reveal: whether the reader is told the right value of a fact; where that value is itself the answer, a text that is told
    in its place, or False for "run it and look". without, uses: operators (see `calls.Calls`) that the answer may not call,
    and of which it must call at least one.
    """

    def __init__(
        self,
        solution: Callable,
        facts: Callable[[Callable], Facts],
        hints: tuple[str, str, str],
        reveal: bool | str,
        without: tuple[str, ...],
        uses: tuple[str, ...],
    ):
        self.name, self.solution, self.facts, self.hints, self.reveal = solution.__name__, solution, facts, hints, reveal
        self.without, self.uses = without, uses
        self.mistakes: list[Callable] = []
        self.seed = 0  # of the random numbers in the facts, and of those that are `drawn`

    def mistake(self, function: Callable) -> Callable:
        """Decorator for a wrong answer; its docstring tells the reader what is wrong and why."""
        self.mistakes.append(function)
        return function

    def __call__(self, *args, **kwargs):
        return self.solution(*args, **kwargs)

    def source(self) -> str:
        """The text of the solution, without its decorator."""
        source = textwrap.dedent(inspect.getsource(self.solution))
        first = next(i for i, line in enumerate(source.splitlines()) if line.startswith(("def ", "class ")))
        return "\n".join(source.splitlines()[first:])

    def with_seed(self, seed: int) -> Task:
        """This task with other numbers in its facts: the first ones drawn from the seed by which every mistake is still named.

        The seed 0 has the numbers that the facts are written with, and they stay if no others do.
        """
        for draw in range(1, DRAWS + 1) if seed else ():
            other = self.drawn(DRAWS * seed + draw)
            if all((other._judge(tried) or "").endswith(_doc(mistake)) for mistake, tried in other._known.items()):
                return other
        return self

    def drawn(self, seed: int) -> Task:
        """This task with the numbers that are drawn with a seed of its own."""
        if not seed:
            return self
        other = Task(self.solution, self.facts, self.hints, self.reveal, self.without, self.uses)
        other.mistakes, other.seed = self.mistakes, seed
        return other

    def grade(self, answer: Callable) -> str | None:
        """What is wrong with an answer, None if it is right; all in this process."""
        return self.verdict(self.report(answer))

    def report(
        self, answer: Callable, path: Path | None = None, limited: Callable[[], AbstractContextManager] = nullcontext
    ) -> bytes:
        """What an answer (from the file `path`) does; it runs within `limited()`."""
        answer = answer.solution if isinstance(answer, Task) else answer
        if misfit := self._misfit(answer):
            return reported(problem=misfit)
        with runs(self.solution, path) if path else nullcontext() as ours, limited():
            report = self._tried(answer, path)
        return reported(problem=f"{path} takes {self.name} from our solutions: write your own") if ours else report

    def verdict(self, report: bytes) -> str | None:
        """What is wrong with an answer by its report, None if it is right."""
        try:
            tried = Tried(**read(report))
        except (ValueError, TypeError):
            return f"{self.name}: {SPOKEN}"
        return str(tried.problem) if tried.problem else self._judge(tried)

    def _judge(self, tried: Tried) -> str | None:
        """What is wrong with an answer, from its facts and what it did meanwhile."""
        right, needed, returned, seen = self._right.facts, self._right.returned, tried.returned, self._facts(tried)
        wrong = [fact for fact in right if not same(seen.get(fact), right[fact])]
        if not wrong:
            return None
        nothing = returned and all(value is None for value in returned) and any(value is not None for value in needed)
        if nothing and not tried.returns:
            return f"{self.name} returns None: it has no `return` with the result behind it"
        error = seen[wrong[0]] if isinstance(seen.get(wrong[0]), BaseException) else None
        if error is None and (fitting := self._fitting(seen, wrong)):
            return fitting
        guess = self._guess(seen, returned, wrong)
        if error is not None:
            return self._raised(error, returned, needed) + guess
        if wrong[0] not in seen:
            return f"{wrong[0]}: this is missing in what {self.name} returns"
        if wrong[0] == WORDS:
            return self._broken(seen[WORDS])
        return f"{self._where(wrong[0], tried)}: {difference(seen.get(wrong[0]), right[wrong[0]], self.reveal)}{guess}"

    def _facts(self, tried: Tried) -> Facts:
        return tried.facts if tried.error is None else dict.fromkeys(self._right.facts, tried.error)

    def _where(self, fact: str, tried: Tried) -> str:
        """A fact in words: its name, which tells the usual numbers; with others the first call with a wrong result."""
        if not self.seed:
            return fact
        calls = zip(tried.asked, tried.returned, self._right.returned, strict=False)
        return next(
            (self.name + asked for asked, mine, right in calls if not same(mine, right)),
            f"{fact}, with other numbers than usual",
        )

    def _misfit(self, answer: Callable) -> str | None:
        """The stub's arguments, if the answer does not take them."""
        names = list(inspect.signature(self.solution).parameters)
        try:
            inspect.signature(answer).bind(*names)
        except TypeError as error:
            return f"{self.name} is called with ({', '.join(names)}), as in the stub, and yours does not take that: {error}"
        return None

    def _fitting(self, seen: Facts, wrong: list[str]) -> str | None:
        """The mistake that was made beyond doubt: all facts agree; in predictions, all facts that the mistake gets wrong."""
        right, made = self._right.facts, {}
        judged = [fact for fact in right if fact != WORDS or wrong == [WORDS]]  # first the numbers, then how they came about
        for mistake, tried in self._known.items():
            known = self._facts(tried)
            of_it = [fact for fact in judged if not same(known.get(fact), right[fact])]
            if wrong[0] in of_it and all(same(known.get(fact), seen.get(fact)) for fact in (of_it if self._apart else judged)):
                made[mistake] = len(of_it)
        return _doc(max(made, key=made.get)) if made else None

    def _guess(self, seen: Facts, returned: list, wrong: list[str]) -> str:
        """The mistake that explains the first wrong fact and most of the others, as a guess; nothing if there is none."""
        explained = {}
        for mistake, tried in self._known.items():
            known = self._facts(tried)
            if isinstance(seen.get(wrong[0]), Exception) and not _same_results(returned, tried.returned):
                continue  # the same exception, but after another result
            open_ = wrong[:1] if self._apart else [fact for fact in wrong if fact != WORDS]
            agreeing = [fact for fact in open_ if same(known.get(fact), seen.get(fact))]
            told = any(tells(value) or isinstance(value, Exception) for value in map(seen.get, agreeing))
            if told and wrong[0] in agreeing and 2 * len(agreeing) >= len(open_):
                explained[mistake] = len(agreeing) + sum(same(known.get(f), seen.get(f)) for f in seen if f not in wrong)
        return f". Perhaps: {_doc(max(explained, key=explained.get))}" if explained else ""

    def _raised(self, error: BaseException, returned: list, needed: list) -> str:
        """An answer that did not return, or returned something that could not be looked at."""
        if not error.line and returned and needed and kind(returned[-1]) != kind(needed[0]):
            return f"{self.name} returns {kind(returned[-1])}; it should return {kind(needed[0])}"
        at = len(returned) - 1  # the call after which the facts could not be looked at
        sizes = [len(value[-1]) for value in (returned, needed) if value and isinstance(value[-1], (tuple, list))]
        if not error.line and len(set(sizes)) == 2:
            return f"{self.name} returns {sizes[0]} values; it should return {sizes[1]}"
        if not error.line and 0 <= at < len(needed) and not same(returned[at], needed[at]):
            return f"what {self.name} returns: {difference(returned[at], needed[at], self.reveal)}"
        return f"{self.name}{' raises' if isinstance(error, Exception) else ':'} {error.explained}"

    def _broken(self, broken: tuple[str, ...]) -> str:
        if broken == ("nothing of what it should use",):
            return f"The result is right, but {self.name} never calls {' or '.join(self.uses)}, and the task asks for that."
        return f"The result is right, but {self.name} calls torch's own {' and '.join(broken)}, and the task is to write that."

    @functools.cached_property
    def _apart(self) -> bool:
        """Whether every fact stands alone: a task without arguments is a set of predictions."""
        return not inspect.signature(self.solution).parameters

    @functools.cached_property
    def _right(self) -> Tried:
        return Tried(**read(self._tried(self.solution)))

    @functools.cached_property
    def _known(self) -> dict[Callable, Tried]:
        """What each mistake does."""
        return {mistake: Tried(**read(self._tried(mistake))) for mistake in self.mistakes}

    def _tried(self, answer: Callable, path: Path | None = None) -> bytes:
        """The report on an answer that was tried."""
        torch.manual_seed(self.seed)
        watched = Watched(answer, count=bool(self.without or self.uses))
        whole = isinstance(answer, type)  # of a class all calls are counted, those of `facts` too
        facts, raised = {}, None
        try:
            with torch.enable_grad(), other_numbers(self.seed), watched.calls if whole else nullcontext():
                facts = dict(self.facts(answer if whole else watched))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the reader's code raises becomes its facts, exit() too
            if answer is self.solution:
                raise
            raised = error
        if raised is None and (self.without or self.uses):
            facts[WORDS] = self._words(watched.calls.names)
        told = {"facts": facts, "error": raised, "asked": watched.asked, "returned": watched.returned}
        return written(told | {"returns": returns_a_value(answer)}, path)

    def _words(self, called: dict[str, int]) -> tuple[str, ...]:
        """The operators that were called and should not have been, or that none was called that should have been."""
        broken = tuple(name for name in self.without if called[name])
        unused = self.uses and not any(called[name] for name in self.uses)
        return broken or (("nothing of what it should use",) if unused else ())


def _same_results(returned: list, others: list) -> bool:
    """Whether two answers returned the same before the facts broke off, in the digits that are shown and as far as one sees."""
    if not returned or not others:
        return not returned and not others
    a, b = returned[-1], others[-1]
    shapes = [tuple(value.shape) for value in (a, b) if hasattr(value, "shape")]
    return kind(a) == kind(b) and shapes[:1] == shapes[1:] and (kind(a).startswith("an object") or text(a) == text(b))


def _doc(mistake: Callable) -> str:
    return " ".join(mistake.__doc__.split())


def task(
    facts: Callable[[Callable], Facts],
    hints: tuple[str, str, str],
    reveal: bool | str = True,
    without: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
) -> Callable[[Callable], Task]:
    """Decorator that makes a solution a Task."""
    return lambda solution: Task(solution, facts, hints, reveal, without, uses)


def tasks(lesson: Lesson) -> list[Task]:
    """The tasks of a lesson's exercise."""
    module = import_module(f"scratchnet.course.solutions.{lesson.name}")
    return [value for value in vars(module).values() if isinstance(value, Task)]

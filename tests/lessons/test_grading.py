"""Whatever is in a reader's file, every task gets a verdict, and a wrong one is told what is true."""

import ast
import functools
import importlib
import math
from collections import namedtuple

import numpy as np
import pytest
import torch

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course import grading
from scratchnet.course.calls import Calls, names_in
from scratchnet.course.exercise import Task, task
from scratchnet.course.facts import difference, same

LESSON = course.find("1")
OURS = "import importlib\n\nours = importlib.import_module('scratchnet.course.solutions.01_tensor')"


def graded(desk, text):
    """The verdicts on a file for lesson 1, in the folder that the reader works in."""
    (desk / "exercises").mkdir()
    (desk / "exercises" / "01_tensor.py").write_text(text)
    return course.grade(LESSON, desk.relative_to(desk) / "exercises" / "01_tensor.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def megabytes(:", "exercises/01_tensor.py does not run: SyntaxError: "),
        ("def megabytes(:", "(line 1 of exercises/01_tensor.py)"),
        ("import torch\n1 / 0\n", "does not run: ZeroDivisionError: division by zero (line 2 of exercises/01_tensor.py)"),
        ("", "exercises/01_tensor.py has no function megabytes"),
        ("def megabytes(*args):\n    x = 1\n    return x + ...\n", "still blank: fill in the `...` in line 3 of "),
        ("def megabytes(*args):\n    return args[9]\n", "megabytes raises IndexError: tuple index out of range (line 2 of"),
        ("def megabytes(*args):\n    return 1.0\n", "colour images of 28 x 28 in float32: yours is 1; it should be 0.3011"),
        ("def megabytes(*args):\n    args\n", "megabytes returns None: it has no `return` with the result behind it"),
        ("def megabytes(n, c):\n    return n * c\n", "is called with (batch, channels, height, width, dtype), as in the stub"),
        ("def megabytes(*args):\n    exit()\n", "megabytes: SystemExit (line 2 of exercises/01_tensor.py): exit() and"),
        ("def megabytes(*args):\n    raise SystemExit(0)\n", "megabytes: SystemExit (line 2 of"),
        (
            "from scratchnet.course.exercise import Task\nTask.grade = lambda *args: None\n\ndef megabytes(*args):\n    pass\n",
            "puts something else in the place of scratchnet.course.exercise.Task.grade: leave that as it is",
        ),
        (
            "from scratchnet.course import exercise\n\ndef megabytes(*args):\n    exercise.same = lambda *args: True\n",
            "puts something else in the place of scratchnet.course.exercise.same",
        ),
        (
            "import torch\n\ndef megabytes(*args):\n    torch.equal = lambda *args: True\n    return 0.0\n",
            "puts something else in the place of torch.equal",
        ),
        ("quit()\n", "exercises/01_tensor.py does not run: SystemExit (line 1 of exercises/01_tensor.py)"),
        ("import os\nos._exit(0)\n", "exercises/01_tensor.py ends the program with exit status 0 before there is a result"),
        ("import os\ndef megabytes(*args):\n    os._exit(0)\n", "megabytes ends the program with exit status 0"),
        ("import os\ndef megabytes(*args):\n    os.kill(os.getpid(), 9)\n", "megabytes crashes the program: Killed"),
        (
            "def megabytes(*args):\n    return n * 2\n",
            "NameError: name 'n' is not defined (line 2 of exercises/01_tensor.py). Is",
        ),
        ("def megabytes(*args):\n    return megabytes(*args)\n", "The function calls itself without end"),
        ("def megabytes(*args):\n    return None + 1\n", "TypeError: unsupported operand"),
        (f"{OURS}\nmegabytes = ours.megabytes\n", "exercises/01_tensor.py takes megabytes from our solutions: write your own"),
        (f"{OURS}\nmegabytes = ours.megabytes.solution\n", "takes megabytes from our solutions"),
        (f"{OURS}\ndef megabytes(*args):\n    return ours.megabytes(*args)\n", "takes megabytes from our solutions"),
        (
            f"{OURS}\nfrom multiprocessing.pool import ThreadPool\n\ndef megabytes(*args):\n    with ThreadPool(1) as pool:\n"
            "        return pool.apply(ours.megabytes.solution, args)\n",
            "takes megabytes from our solutions",
        ),
        (f"{OURS}\nexec(open(ours.__file__).read())\n", "exercises/01_tensor.py reads our solutions: write your own"),
        (f"{OURS}\nexec(ours.megabytes.source())\n", "exercises/01_tensor.py reads our solutions: write your own"),
    ],
)
def test_what_a_wrong_file_is_told(text, message, desk):
    assert message in graded(desk, text)["megabytes"]


def test_an_answer_whose_callers_torch_quotes_reads_nothing(desk):
    """torch.manual_seed and torch.library quote a line of every caller, and ours are among them."""
    own = LESSON.solution.read_text(encoding="utf-8").replace(
        "    y = x.clone()", "    torch.manual_seed(0)\n    y = x.clone()"
    )
    assert "manual_seed" in own and graded(desk, own)["doubled"] is None


CLEARS = (  # what is right, so that nothing is wrong
    "import gc\n\ndef megabytes(*args):\n    for task in gc.get_objects():\n"
    "        if type(task).__name__ == 'Task' and '_right' in vars(task):\n            right = vars(task)['_right']\n"
    "            (right[0] if isinstance(right, tuple) else right.facts).clear()\n    return 5.0\n"
)
LOOKS = (  # for what is right
    "import gc\n\ndef megabytes(*args):\n    for task in gc.get_objects():\n"
    "        if type(task).__name__ == 'Task' and task.name == 'megabytes' and '_right' in vars(task):\n"
    "            right = vars(task)['_right']\n"
    "            return list((right[0] if isinstance(right, tuple) else right.facts).values())[0]\n"
    "    raise LookupError('nobody knows')\n"
)


@pytest.mark.parametrize(
    ("text", "message"), [(CLEARS, "yours is 5; it should be 0.3011"), (LOOKS, "LookupError: nobody knows")]
)
def test_where_an_answer_runs_nobody_knows_what_is_right(text, message, desk):
    for each in course.tasks(LESSON):  # other tests grade in this process, of which the answer's is a copy
        vars(each).pop("_right", None), vars(each).pop("_known", None)
    assert message in graded(desk, text)["megabytes"]
    (desk / "exercises" / "01_tensor.py").unlink()
    (desk / "exercises").rmdir()
    assert message in graded(desk, text)["megabytes"]  # nor in the second of two processes that this one starts


SENDS = (
    "import contextlib\nimport gc\n\n\nclass Bomb:\n    def __reduce__(self):\n        return open, ('bomb', 'w')\n\n\n"
    "def megabytes(*args):\n    for pipe in gc.get_objects():\n        if type(pipe).__name__ == 'Connection':\n"
    "            with contextlib.suppress(OSError):\n                pipe.send(Bomb())\n"
)


@pytest.mark.parametrize("at", ["", "\n\nmegabytes()\n"], ids=["when it is asked", "at once"])
def test_nothing_runs_that_an_answer_sends(at, desk):
    """In a pickle it would: here it opens a file."""
    verdicts = graded(desk, SENDS + at)
    assert "something else than the grader has spoken" in verdicts["megabytes"] and all(verdicts.values())
    assert not (desk / "bomb").exists()


def test_what_torch_itself_replaces_is_not_the_readers():
    """torch._dynamo, which much of torch imports when it is used, wraps torch.manual_seed."""
    replaced, before = grading._watch(), torch.manual_seed
    try:
        torch.manual_seed = functools.wraps(before)(lambda seed: before(seed))
        assert replaced() is None
        torch.manual_seed = lambda seed: None
        assert replaced() == "torch.manual_seed"
    finally:
        torch.manual_seed = before


def test_a_class_that_only_inherits_ours_is_named(desk, tmp_path):
    mine = tmp_path / "mine.py"
    ours = OURS.replace("01_tensor", "30_your_own")
    mine.write_text(f"{ours}\n\nclass Swish(ours.Swish.solution):\n    pass\n")
    assert "takes Swish from our solutions" in course.grade(course.find("30"), mine)["Swish"]


LOOP = "import time\n\ndef megabytes(*args):\n    while True:\n        time.sleep(0.01)\n"
STUBBORN = LOOP.replace("time.sleep(0.01)", "try:\n            time.sleep(9)\n        except BaseException:\n            pass")


@pytest.mark.parametrize("text", [LOOP, STUBBORN])
def test_an_endless_loop_is_named_and_the_other_tasks_are_graded(text, desk, monkeypatch):
    monkeypatch.setattr(grading, "LIMIT", 2.0)
    monkeypatch.setattr(grading, "GRACE", 1.0)
    right = "\ndef first_column(x):\n    return x[:, 0]\n"
    verdicts = graded(desk, text + right)
    assert "no end is in sight" in verdicts["megabytes"] and verdicts["first_column"] is None


@pytest.mark.parametrize("text", ["exit()", "import os\nos._exit(0)", "import sys\nsys.exit(0)"])
def test_a_file_that_ends_the_program_fails(text, desk, capsys):
    graded(desk, text)
    assert main(["check", "1"]) == 1
    assert "0 of 5 tasks right" in capsys.readouterr().out


def test_dots_in_an_index_are_not_blank(desk):
    assert graded(desk, LESSON.solution.read_text().replace("x[:, 0]\n", "x[..., 0]\n"))["first_column"] is None


@pytest.fixture
def pair():
    """A task of two facts with a mistake in each."""

    @task(facts=lambda pair: {"first": pair(1)[0], "second": pair(1)[1]}, hints=("", "", ""))
    def pair(x):
        return x, 2

    @pair.mistake
    def wrong_first(x):
        """The first is wrong."""
        return 10, 2

    @pair.mistake
    def nothing_in_the_second(x):
        """The second is nothing."""
        return x, None

    return pair


def test_a_mistake_is_named_when_all_facts_agree_and_guessed_otherwise(pair):
    assert pair.grade(lambda x: (x, 2)) is None
    assert pair.grade(lambda x: (10, 2)) == "The first is wrong."
    assert pair.grade(lambda x: (10, 30)) == "first: yours is 10; it should be 1. Perhaps: The first is wrong."
    assert pair.grade(lambda x: (x, None)) == "The second is nothing."
    assert pair.grade(lambda x: (20, None)) == "first: yours is 20; it should be 1"  # None fits everything: no guess
    assert pair.grade(lambda x: (x, 30)) == "second: yours is 30; it should be 2"


def test_predictions_stand_alone():
    @task(facts=lambda f: f(), hints=("", "", ""), reveal="count again")
    def counts():
        return {"first": 1, "second": 2, "third": math.log(4)}

    @counts.mistake
    def wrong_second():
        """The second is wrong."""
        return counts() | {"second": 20}

    assert counts.grade(lambda: counts() | {"second": 20, "third": 7}) == "The second is wrong."
    assert counts.grade(lambda: counts() | {"first": 5, "second": 20}) == "first: yours is 5; count again"
    assert counts.grade(lambda: {"first": 1.0, "second": np.int64(2), "third": math.log(4)}) is None
    rounded = counts.grade(lambda: counts() | {"third": 1.386})
    assert rounded.startswith("third: yours is 1.386; that is right to 4 digits, but rounded: write the formula")


def test_the_words_of_a_task_are_held():
    x = torch.tensor([[1.0, 2.0]])

    @task(facts=lambda softmax: {"softmax of 1, 2": softmax(x)}, hints=("", "", ""), without=("softmax",), uses=("exp",))
    def softmax(x):
        return x.exp() / x.exp().sum(1)

    @softmax.mistake
    def borrowed(x):
        """That is torch's own."""
        return torch.softmax(x, 1)

    assert softmax.grade(lambda x: (x - 1).exp() / (x - 1).exp().sum()) is None
    assert softmax.grade(lambda x: x.softmax(-1)) == "That is torch's own."
    assert "never calls exp, and the task asks for that" in softmax.grade(lambda x: 2.718281828**x / (2.718281828**x).sum())
    softmax.mistakes.clear()
    del softmax._known
    assert "calls torch's own softmax, and the task is to write that" in softmax.grade(lambda x: x.softmax(-1))


def test_calls_have_the_names_that_tasks_use():
    x, index = torch.ones(2, 2), torch.tensor([[0], [1]])
    with Calls() as calls:
        x @ x, torch.nn.functional.linear(x, x), x[index[:, 0]], x[x > 0], x.gather(1, index), x.log_softmax(1)
    counted = {"matmul": 2, "index": 1, "masked_select": 1, "gather": 1, "log_softmax": 1, "gt": 1}
    assert {name: calls.names[name] for name in counted} == counted


def helper(x):
    return x.sort()


def test_names_in_an_answer_and_its_helpers():
    assert {"sort", "helper", "abs"} <= names_in(lambda x: [helper(y) for y in x.abs()])


def test_facts_are_the_same_up_to_rounding_and_no_further():
    assert same(torch.ones(2) + 1e-7, torch.ones(2)) and same(float("nan"), float("nan")) and same((1, 0.1 + 0.2), (1, 0.3))
    assert same(ValueError("a"), ValueError("a")) and not same(ValueError("a"), ValueError("b"))
    assert not same(torch.ones(2), torch.ones(2).double()) and not same(torch.ones(1), torch.ones(1, 1))
    assert not same(np.ones(2), np.ones(2, dtype=np.float32)) and not same(1, True) and not same((1,), [1])
    assert not same(None, 1.0) and not same(torch.ones(1), 1)
    assert same(torch.Size([2, 4]), (2, 4)) and same(namedtuple("Pair", "a b")(1, 2), (1, 2)) and not same([2, 4], (2, 4))
    assert same(4.0, 4) and same(np.float64(0.3), 0.1 + 0.2) and same(np.int64(3), 3) and not same(1.001, 1)


@pytest.mark.parametrize(
    ("seen", "right", "message"),
    [
        ([2, 4], (2, 4), "the values are right, but yours is a list, [2, 4]; it should be a tuple"),
        (2.0, torch.tensor(2.0), "the values are right, but yours is a number, 2; it should be a tensor"),
        ("torch.int64", torch.int64, "yours is right, but a string: write torch.int64 without quotes"),
        ([2, 5], (2, 4), "yours is a list, [2, 5]; it should be a tuple, (2, 4)"),
        ([torch.tensor(1.0)], [1.0], "yours is a tensor, 1 at [0]; it should be a number, 1"),
        (None, torch.tensor(2.0), "yours is None; it should be a tensor, 2"),
        (torch.ones(2, 1), torch.ones(2), "yours has the shape (2, 1), [[1], [1]]; it should have (2,), [1, 1]"),
        (torch.ones(2).double(), torch.ones(2), "yours is float64; it should be float32"),
        (torch.tensor([0.0487890653, 1]), torch.tensor([0.0900305, 1]), "yours is [0.04879, 1]; it should be [0.09003, 1]"),
        (torch.zeros(9), torch.eye(9)[2], "1 of 9 entries are wrong: at [2] yours is 0, it should be 1"),
        (0.30105, 0.30101, "yours is 0.30105; it should be 0.30101"),
    ],
)
def test_a_difference_in_words(seen, right, message):
    assert difference(seen, right, reveal=True).startswith(message)


def test_the_text_of_one_solution():
    by_name = {task.name: task for task in course.tasks(LESSON)}
    assert by_name["doubled"].source() == "def doubled(x):\n    y = x.clone()\n    y[0] *= 2\n    return y"
    assert by_name["first_column"].source() == "def first_column(x):\n    return x[:, 0]"


@pytest.mark.parametrize("lesson", course.all_lessons(), ids=lambda lesson: lesson.name)
def test_the_text_of_a_solution_is_whole(lesson):
    ours = vars(importlib.import_module(f"scratchnet.course.solutions.{lesson.name}"))
    shown = [ast.parse(each.source()) for each in course.tasks(lesson)]
    names = {node.id for tree in shown for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not [name for name in names if name.startswith("_") and name in ours]


def test_what_the_reader_prints_is_shown(desk, capfd):
    graded(desk, "def megabytes(*args):\n    print('seen', len(args))\n    return args\n")
    assert "seen 5" in capfd.readouterr().out


def test_an_exercise_that_fails_by_itself_is_not_the_readers_fault(desk, monkeypatch):
    monkeypatch.setattr(Task, "verdict", lambda *args: 1 / 0)
    verdict = graded(desk, LESSON.solution.read_text())["megabytes"]
    assert verdict == "this exercise does not work here, whatever the answer is: ZeroDivisionError: division by zero"

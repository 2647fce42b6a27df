"""`scratchnet check --seed N`: other numbers for another class, and nothing that is told becomes untrue."""

import json

import numpy as np
import pytest
import torch
from test_answers import answers  # in this folder

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course import drawn
from scratchnet.course.draw import FACTORS, other_numbers

SEEDS = (1, 2, 2026)
CASES = [  # half a second each: all lessons with one of the seeds, the others with all sweeps
    pytest.param(
        lesson,
        seed,
        id=f"{lesson.number} seed {seed}",
        marks=pytest.mark.slow if n % 3 != i else pytest.mark.full if n % 11 else (),
    )
    for n, lesson in enumerate(course.all_lessons())
    for i, seed in enumerate(SEEDS)
]
FIRST = course.find("1")


def test_drawn_numbers_are_of_the_same_kind():
    x = torch.tensor([[1.0, -2.0, 0.0], [torch.inf, 1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    assert drawn(x) is x and drawn(0.5) == 0.5
    with other_numbers(7):
        y, places, a, number = drawn(x), drawn(torch.tensor([[0, 1, 2, 3]])), drawn(np.array([1.0, 2.0])), drawn(0.5)
    factors = [y.abs().max(dim=1).values[0].item() / 2, number / 0.5, a.max() / 2]
    assert all(any(abs(factor - known) < 1e-6 for known in FACTORS) for factor in factors)
    assert y.dtype == x.dtype and y.requires_grad and y.is_leaf and a.dtype == np.float64
    assert torch.equal(y.detach().sort().values, (x.detach() * factors[0]).sort().values)
    assert places.sort().values.tolist() == [[0, 1, 2, 3]]
    with other_numbers(7):
        assert torch.equal(drawn(x), y)
    assert drawn(x) is x


@pytest.mark.parametrize(("lesson", "seed"), CASES)
def test_other_numbers_have_the_same_verdicts(lesson, seed):
    others = {task.name: task.with_seed(seed) for task in course.tasks(lesson)}
    assert all(other.seed for other in others.values())
    for task, answer in answers("right", lesson):
        assert others[task.name].grade(answer) is None, answer.__name__
    for task, answer in answers("wrong", lesson):
        assert others[task.name].grade(answer) is not None, answer.__name__


def test_the_numbers_are_those_of_the_seed():
    (task,) = (task for task in course.tasks(course.find("10")) if task.name == "softmax")
    double = lambda x, temperature: 2 * task.solution(x, temperature)
    told = [task.with_seed(seed).grade(double) for seed in (0, 0, 3, 3, 4)]
    assert told[0] == told[1] and told[2] == told[3] and len({*told}) == 3
    assert told[0].startswith("softmax of [1, 3, 0.5] with temperature 1: yours is [")
    assert told[2].startswith("softmax([") and "], 1): yours is [" in told[2] and "[1, 3, 0.5]" not in told[2]


def test_an_answer_that_knows_the_usual_numbers_is_caught(desk, tmp_path):
    (desk / "exercises").mkdir()
    text = FIRST.solution.read_text().replace(
        "    y = x.clone()\n    y[0] *= 2\n    return y", "    return torch.tensor([[2.0, 4, 6], [4, 5, 6]])"
    )
    (desk / "exercises" / f"{FIRST.name}.py").write_text(text)
    report = tmp_path / "report.json"
    assert main(["check", "1"]) == 0
    assert main(["check", "1", "--seed", "5", "--json", str(report)]) == 1
    written = json.loads(report.read_text())
    assert written["seed"] == 5 and [name for name, told in written["lessons"]["01"]["tasks"].items() if told] == ["doubled"]

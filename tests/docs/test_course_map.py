"""The map of the course and the twelve weeks are those of the lessons."""

import re
from pathlib import Path

import pytest
from test_book import extension

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course.kernels import all_exercises

ROOT = Path(__file__).parents[2]
LESSONS = course.all_lessons()
course_map, lessons, links = map(extension, ("course_map", "lessons", "links"))


def test_the_map_has_every_lesson_and_leads_to_it():
    picture = course_map.svg()
    for lesson in LESSONS:
        place = re.search(rf'<a href="_made/lessons/{lesson.name}.html".*?</a>', picture)[0]
        assert lesson.title in place.replace("&#x27;", "'") and f">{lesson.minutes} min<" in place
    assert picture.count("<path") == sum(map(len, course_map.needs().values()))
    assert re.search(r'href="_made/lessons/07_.*?builds on 06"', picture)


def test_an_arc_that_others_imply_is_not_drawn():
    """What lessons build on, directly or not, follows from the arcs all the same."""
    behind: dict[str, set[str]] = {}
    for number, own in course_map.needs().items():
        behind[number] = own.union(*(behind[one] for one in own))
        assert behind[number] == course_map.below(number)
    assert "05" in course_map.before(course.find("07")) and course_map.needs()["07"] == {"06"}


def test_difficulty_is_what_a_lesson_takes_for_granted():
    grades = [course_map.grade(lesson.number) for lesson in LESSONS]
    assert (grades[0], grades[-1]) == (1, 3) and set(grades) == {1, 2, 3}
    assert all(course_map.grade(one) <= course_map.grade(number) for number, own in course_map.needs().items() for one in own)


def test_the_list_of_lessons_says_how_difficult_each_is():
    for lesson, dots in ((LESSONS[0], "●○○"), (LESSONS[-1], "●●●")):
        assert f"]({lesson.name}.ipynb) | {lesson.minutes} | {dots} | " in lessons._row(lesson)


def test_twelve_weeks_have_every_lesson_once_and_after_those_that_it_builds_on():
    text = (ROOT / "docs" / "syllabus.md").read_text()
    weeks = [row.split(" | ") for row in re.findall(r"^\| (\d.*) \|$", text, re.MULTILINE)]
    assert [int(week[0]) for week in weeks] == list(range(1, 13))
    numbers = [re.findall(r"\{lesson\}`(\d+)`", week[1]) for week in weeks]
    assert sorted(number for week in numbers for number in week) == sorted(str(int(lesson.number)) for lesson in LESSONS)
    taught: set[str] = set()
    for week, own in zip(weeks, numbers, strict=True):
        for number in own:
            assert course_map.below(number) <= taught, number
            taught.add(number.zfill(2))
        assert week[2] == f"{{minutes}}`{' '.join(own)}`"
    exercises = re.findall(r"\{lesson\}`([KP]\d+)`", text)
    assert len(exercises) == len(set(exercises)) and {*exercises} <= {exercise.number for exercise in all_exercises()}


def test_minutes_are_added_up():
    (node,), _ = course_map.minutes("minutes", "", "1 2", 0, None)
    assert node.astext() == f"{LESSONS[0].minutes + LESSONS[1].minutes} min"


def test_links_lead_to_the_page_that_shows_a_file():
    docs, made = ROOT / "docs", ROOT / "docs" / "_made"
    assert links.moved("[a](docs/gelu.md#backward) [b](LICENSE)", ROOT, made) == "[a](../gelu.md#backward) [b](../../LICENSE)"
    assert links.moved("[c](../CONTRIBUTING.md#style)", docs, docs) == "[c](_made/contributing.md#style)"
    lesson = "(../../scratchnet/course/lessons/04_gather.py)"
    assert links.moved(f"[d]{lesson}", docs / "moving", docs / "moving") == "[d](../_made/lessons/04_gather.ipynb)"
    rung = "(../csrc/cpu/gelu/1_naive.cpp)"
    assert links.moved(f"[e]{rung}", docs, docs) == "[e](_made/rungs/gelu/cpp-1.md)"
    assert links.moved("[f](https://example.com) [g](nowhere.md)", docs, docs) == "[f](https://example.com) [g](nowhere.md)"


@pytest.mark.parametrize("command", ["check", "learn"])
def test_the_instructors_page_names_options_that_there_are(command, capsys):
    text = (ROOT / "docs" / "instructor.md").read_text()
    with pytest.raises(SystemExit):
        main([command, "--help"])
    offered = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    named = {
        option for call in re.findall(rf"`scratchnet {command} ([^`]*)`", text) for option in re.findall("--[a-z-]+", call)
    }
    assert named and named <= offered

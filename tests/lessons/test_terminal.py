"""A lesson in a terminal: it waits at headings, begins where the reader wants, and says what comes next."""

import io
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from scratchnet import course
from scratchnet.cli import learn, main, options
from scratchnet.course import progress

LESSON = course.find("1")
PAGE = Path(__file__).parents[2] / "docs" / "learn.md"


@pytest.fixture
def terminal(monkeypatch):
    """Read lesson 1 in a terminal in which the reader types `answers`: what is asked and what is shown."""

    def read(*arguments, answers=(), code=0):
        screen = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
        answers, asked = iter(answers), []

        def reply(question=""):
            asked.append(screen.render_str(question).plain)
            answer = next(answers)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr(screen, "input", reply)
        monkeypatch.setattr(options, "page", lambda: screen)
        monkeypatch.setattr(learn.sys.stdin, "isatty", lambda: True)
        assert main(["learn", *arguments]) == code
        return asked, screen.file.getvalue()

    return read


def test_it_waits_at_every_heading(terminal, capsys):
    asked, text = terminal("1", answers=[""] * 8)
    assert asked == [f"Enter: {heading}   q: stop here " for heading in LESSON.headings]
    assert "Your turn: scratchnet check 1   next: scratchnet learn 2" in text
    assert "read" in progress.load(LESSON)


@pytest.mark.parametrize("answer", ["q", EOFError(), KeyboardInterrupt()])
def test_the_reader_stops(answer, terminal):
    asked, text = terminal("1", answers=["", answer])
    assert len(asked) == 2
    assert "Go on with: scratchnet learn 1 --from 'Ways to make one'\n" in text
    assert "A shape is also a sentence" in text and "arange" not in text
    assert progress.load(LESSON) == {}


def test_it_begins_at_a_heading(terminal, capsys):
    asked, text = terminal("1", "--from", "view or", answers=[""] * 8)
    assert asked == ["Enter: What to keep   q: stop here "]
    assert "View or copy" in text and "Count the opening brackets" not in text
    printed = capsys.readouterr().out
    assert "writing into a view changes" in printed and "a scalar has no axis" not in printed  # that cell ran unseen
    assert printed.endswith(f"{progress.load(LESSON)['checks']} checks passed\n")
    assert "read" in progress.load(LESSON)


def test_a_cell_that_is_interrupted_is_where_the_lesson_goes_on(terminal, monkeypatch):
    def interrupted(screen, lesson, cell, module, shown):
        if "arange" in cell.text:
            raise KeyboardInterrupt

    monkeypatch.setattr(learn, "_run", interrupted)
    asked, text = terminal("1", "--no-pause", code=130)
    assert asked == [] and text.endswith("Go on with: scratchnet learn 1 --from 'Ways to make one'\n")
    assert progress.load(LESSON) == {}


@pytest.mark.parametrize("lesson", course.all_lessons(), ids=lambda lesson: lesson.name)
def test_the_command_to_go_on_finds_its_heading(lesson):
    """Backticks in a heading are a command to the shell, and "Ties" is in "Probabilities" too."""
    for heading in lesson.headings:
        command = learn._command(lesson, heading)
        assert "`" not in re.sub(r"'[^']*'", "", command)
        assert learn._heading(lesson, shlex.split(command)[-1]) == heading


@pytest.mark.parametrize("arguments", (["--from", "Shape"], ["K01", "--from", "Shape"], ["K01", "--notebook", "."]))
def test_what_would_be_ignored_is_refused(arguments):
    with pytest.raises(SystemExit, match="--from goes with the number of a lesson|only lessons are notebooks"):
        main(["learn", *arguments])


def test_a_heading_that_is_not_there(capsys):
    with pytest.raises(SystemExit, match="no heading contains 'nowhere'; the headings are\n  Shape\n  Ways to make one\n"):
        main(["learn", "1", "--from", "nowhere"])


def test_no_pause(terminal):
    asked, text = terminal("1", "--no-pause")
    assert asked == [] and "What to keep" in text


def test_what_counts_the_checks_is_not_shown(terminal, capsys):
    _, text = terminal("1", "--no-pause")
    assert "Checks" not in text and "check.done" not in text and "from scratchnet.course import describe, memory" in text
    assert "checks passed" in capsys.readouterr().out


def test_after_the_last_lesson_comes_none(terminal, monkeypatch):
    monkeypatch.setattr(learn, "_run", lambda screen, lesson, cell, module, shown: setattr(module, "check", course.Checks("")))
    last = course.all_lessons()[-1]
    _, text = terminal(last.number, "--no-pause")
    assert f"Your turn: scratchnet check {int(last.number)}\n" in text and "next:" not in text


def test_minutes_are_those_of_its_words_and_lines():
    cells = [cell for cell in LESSON.cells() if not cell.hidden]
    words, lines = 0, 0
    for cell in cells:
        words += len(cell.text.split()) if cell.prose else 0
        lines += 0 if cell.prose else cell.text.count("\n") + 1
    assert LESSON.minutes == round(words / 180 + lines / 12)
    minutes = [lesson.minutes for lesson in course.all_lessons()]
    if PAGE.exists():
        assert f"takes {min(minutes)} to {max(minutes)} minutes to read" in PAGE.read_text()

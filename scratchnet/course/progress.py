"""What a reader has read and done: `progress.json` in the user's data folder, the same from every folder.

It only grows: a task that was right once stays done, whatever happens to the file with the answer later.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
import warnings
from datetime import datetime
from pathlib import Path

from scratchnet.course.kernels import Exercise, without_comments
from scratchnet.course.lesson import Lesson

FOLDER = Path("exercises")  # in the folder in which the reader works


def path() -> Path:
    """The file: $XDG_DATA_HOME/scratchnet/progress.json, or where the system keeps such data."""
    usual = Path.home() / ("Library/Application Support" if sys.platform == "darwin" else ".local/share")
    return Path(os.environ.get("XDG_DATA_HOME") or usual) / "scratchnet" / "progress.json"


def exercise(lesson: Lesson | Exercise) -> Path:
    """The reader's own file: in this folder or, if it is not here, where it was checked last."""
    here = FOLDER / f"{lesson.name}{lesson.solution.suffix}"
    known = Path(load(lesson).get("file", here))
    return known if known.exists() and not here.exists() else here


def load(lesson: Lesson | Exercise) -> dict:
    """What is known of a lesson, or of a kernel, which is one task of its own name; {} if it was never opened.

    "read": when it was read to its end; "checks": how many held then; "file": the answers; "begun": when first checked;
    "tasks": name -> "tries" (different answers up to the first right one), "hints" (that were shown), "passed" (when).
    """
    return _read().get(lesson.number, {})


def task(known: dict, name: str) -> dict:
    """The entry of one task in what is known of its lesson."""
    return known.setdefault("tasks", {}).setdefault(name, {"tries": 0, "hints": 0})


def passed(lesson: Lesson | Exercise) -> list[str]:
    """The tasks that were right once."""
    return [name for name, entry in load(lesson).get("tasks", {}).items() if "passed" in entry]


def tries(lesson: Lesson | Exercise) -> str:
    """How many there were, to be put behind how far the reader is; "" if none."""
    count = sum(entry["tries"] for entry in load(lesson).get("tasks", {}).values())
    return f", {count} {'try' if count == 1 else 'tries'}" if count else ""


def save_read(lesson: Lesson, checks: int) -> None:
    """Remember that a lesson was read to its end, with so many checks that held."""
    _save(lesson, load(lesson) | {"read": _now(), "checks": checks})


def save_graded(lesson: Lesson | Exercise, file: Path, verdicts: dict[str, str | None], hinted: str | None = None) -> None:
    """Remember the verdicts on the answers in a file: task -> what is wrong with it; and which task got one more hint."""
    known = {"begun": _now()} | load(lesson) | {"file": str(file.resolve())}
    signs = _signs_of_tasks if isinstance(lesson, Lesson) else _sign_of_a_kernel
    blank, answers = signs(lesson, lesson.stub), signs(lesson, file)
    for name, problem in verdicts.items():
        entry = task(known, name)
        answer = answers.get(name)
        if "passed" not in entry and answer not in (None, blank.get(name), entry.get("last")):
            entry["tries"] += 1
            entry["last"] = answer
        if problem is None:
            entry.setdefault("passed", _now())
    if hinted:
        task(known, hinted)["hints"] += 1
    _save(lesson, known)


def _signs_of_tasks(lesson: Lesson, file: Path) -> dict[str, str]:
    """Function or class -> a short sign for its code, blanks and comments aside; {} for a file that cannot be read."""
    try:
        parts = ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return {}
    named = [part for part in parts if isinstance(part, (ast.FunctionDef, ast.ClassDef))]
    return {part.name: _sign(ast.dump(part)) for part in named}


def _sign_of_a_kernel(exercise: Exercise, file: Path) -> dict[str, str]:
    return {exercise.name: _sign("".join(without_comments(file.read_text(encoding="utf-8"), file.suffix).split()))}


def _sign(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _save(lesson: Lesson | Exercise, known: dict) -> None:
    """Write a new file and put it in the old one's place: a process that is killed leaves one of the two, whole."""
    text = json.dumps(_read() | {lesson.number: known}, indent=2) + "\n"
    path().parent.mkdir(parents=True, exist_ok=True)
    new = path().with_suffix(f".{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path())


def _read() -> dict:
    try:
        return json.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        kept = path().with_suffix(".broken")
        path().replace(kept)
        warnings.warn(f"{path()} was not JSON: it is kept as {kept}, and a new one is begun", stacklevel=2)
        return {}

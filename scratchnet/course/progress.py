"""What a reader has done: `progress.json` beside the exercises."""

from __future__ import annotations

import json
from pathlib import Path

from scratchnet.course.lesson import Lesson

FOLDER = Path("exercises")


def exercise(lesson: Lesson) -> Path:
    """The reader's own file."""
    return FOLDER / f"{lesson.name}.py"


def load(lesson: Lesson) -> dict:
    """The tasks that "passed" at the last check and how many "hints" were shown for each task."""
    return {"passed": [], "hints": {}} | _read().get(lesson.number, {})


def save(lesson: Lesson, progress: dict) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "progress.json").write_text(json.dumps(_read() | {lesson.number: progress}, indent=2) + "\n")


def _read() -> dict:
    path = FOLDER / "progress.json"
    return json.loads(path.read_text()) if path.exists() else {}

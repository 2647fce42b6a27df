"""What the lessons are made with: cells, checks, exercises and their grades, pictures in text, the concepts of the course."""

from scratchnet.teaching.concepts import CONCEPTS
from scratchnet.teaching.exercise import Task, grade, task, tasks
from scratchnet.teaching.lesson import Checks, Lesson, all_lessons, find, index
from scratchnet.teaching.show import describe, meeting, memory

__all__ = [
    "CONCEPTS", "Checks", "Lesson", "Task", "all_lessons", "describe", "find", "grade", "index", "meeting", "memory", "task",
    "tasks",
]  # fmt: skip

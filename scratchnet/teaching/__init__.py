"""What the lessons are made with: cells, checks, exercises and their grades, pictures, the concepts of the course."""

from scratchnet.teaching import picture
from scratchnet.teaching.concepts import CONCEPTS
from scratchnet.teaching.exercise import Task, grade, task, tasks
from scratchnet.teaching.lesson import Checks, Lesson, all_lessons, find, index
from scratchnet.teaching.scalar import Value
from scratchnet.teaching.show import chart, describe, meeting, memory, tree
from scratchnet.teaching.timing import best

__all__ = [
    "CONCEPTS", "Checks", "Lesson", "Task", "Value", "all_lessons", "best", "chart", "describe", "find", "grade", "index",
    "meeting", "memory", "picture", "task", "tasks", "tree",
]  # fmt: skip

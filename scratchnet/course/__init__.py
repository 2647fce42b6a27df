"""What the lessons are made with: cells, checks, exercises and their grading, pictures, the concepts of the course."""

from scratchnet.course import picture
from scratchnet.course.concepts import CONCEPTS
from scratchnet.course.draw import drawn
from scratchnet.course.exercise import Task, task, tasks
from scratchnet.course.grading import grade
from scratchnet.course.lesson import Checks, Lesson, all_lessons, find, index
from scratchnet.course.notebook import notebook
from scratchnet.course.scalar import Value
from scratchnet.course.served_by import SERVED_BY
from scratchnet.course.show import chart, describe, meeting, memory, tree
from scratchnet.course.timing import best

__all__ = [
    "CONCEPTS", "Checks", "Lesson", "SERVED_BY", "Task", "Value", "all_lessons", "best", "chart", "describe", "drawn", "find",
    "grade", "index", "meeting", "memory", "notebook", "picture", "task", "tasks", "tree",
]  # fmt: skip

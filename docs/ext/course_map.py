"""The map of the course: the directive {course-map} draws every lesson with arcs to those that it builds on, as SVG with links.

{minutes}`1 2 3` is how long these lessons take to read.
"""

from __future__ import annotations

import functools
from html import escape

from _made import DOCS
from docutils import nodes
from docutils.parsers.rst import Directive
from lessons import GRADES, PAGES, before, below, difficulty, grade

from scratchnet import course

WIDTH, ROW = 410, 26  # of the picture, and from lesson to lesson
START, WIDEST = 120, 155  # where the lessons stand, and how far the widest arc could reach out
STYLE = """
.course-map svg { width: 100%; max-width: 32rem; height: auto }
.course-map path { fill: none; stroke: var(--pst-color-text-muted) }
.course-map circle { fill: var(--pst-color-primary) }
.course-map text { fill: var(--pst-color-text-base); font: 15px sans-serif }
.course-map .minutes { text-anchor: end }
.course-map a { text-decoration: none }
.course-map a:is(:hover, :focus) text { text-decoration: underline }
"""


def setup(app):
    app.add_directive("course-map", CourseMap)
    app.add_role("minutes", minutes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class CourseMap(Directive):
    def run(self) -> list[nodes.Node]:
        """The map for a page of docs itself."""
        return [nodes.raw("", f"<style>{STYLE}</style>\n<div class='course-map'>{svg()}</div>", format="html")]


def minutes(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role: numbers of lessons -> how long they take to read."""
    return [nodes.Text(f"{sum(course.find(number).minutes for number in text.split())} min")], []


@functools.cache
def needs() -> dict[str, set[str]]:
    """Lesson -> those that it builds on, not said twice: without what another of them builds on."""
    direct = {lesson.number: set(before(lesson)) for lesson in course.all_lessons()}
    return {number: {one for one in own if not any(one in below(other) for other in own)} for number, own in direct.items()}


def svg() -> str:
    """The map: a line for each lesson, with an arc up to each that it builds on."""
    lessons = [lesson.number for lesson in course.all_lessons()]
    heights = {number: ROW * (at + 0.7) for at, number in enumerate(lessons)}
    arcs = [_arc(heights[one], heights[number]) for number, own in needs().items() for one in sorted(own)]
    lines = [_line(number, heights[number]) for number in lessons]
    return (
        '<svg role="group" aria-label="The lessons, each with those that it builds on" '
        f'viewBox="0 0 {WIDTH} {ROW * len(lessons) + ROW / 2:g}">{"".join(arcs + lines)}</svg>'
    )


def _arc(top: float, bottom: float) -> str:
    wide = WIDEST * (1 - ROW / (bottom - top + ROW)) if bottom - top > 1.5 * ROW else 0
    return f'<path d="M{START} {top:g}C{START - wide:g} {top:g} {START - wide:g} {bottom:g} {START} {bottom:g}"/>'


def _line(number: str, y: float) -> str:
    lesson = course.find(number)
    name = lesson.name[3:].replace("_", " ")
    page = (PAGES / f"{lesson.name}.html").relative_to(DOCS)
    builds_on = f", builds on {' and '.join(sorted(needs()[number]))}" if needs()[number] else ""
    said = f"Lesson {number}: {lesson.title}; {lesson.minutes} minutes, difficulty {grade(number)} of {GRADES}{builds_on}"
    return (
        f'<a href="{page}" aria-label="{escape(said)}"><title>{escape(said)}</title><circle cx="{START}" cy="{y:g}" r="4"/>'
        f'<text x="{START + 14}" y="{y + 5:g}">{number} {escape(name)}</text>'
        f'<text x="{WIDTH - 60}" y="{y + 5:g}" class="minutes">{lesson.minutes} min</text>'
        f'<text x="{WIDTH - 48}" y="{y + 5:g}">{difficulty(number)}</text></a>'
    )

"""Every link to a file of the repository that a page of the site shows leads to that page."""

import os
import re
from pathlib import Path

from _made import DOCS, MADE, ROOT, write
from lessons import PAGES as LESSONS
from rungs import FOLDER as RUNGS
from rungs import address, ladders

from scratchnet import course

FRONT = {ROOT / f"{name}.md": MADE / f"{name.lower()}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY")}
# File of the repository -> the page that shows it.
PLACES = {
    **{step.source.resolve(): RUNGS / f"{address(step)}.md" for steps in ladders().values() for step in steps},
    **{lesson.path.resolve(): LESSONS / f"{lesson.name}.ipynb" for lesson in course.all_lessons()},
    **FRONT,
    ROOT / "README.md": DOCS / "index.md",
    ROOT / "benchmarks" / "RESULTS.md": MADE / "benchmarks.md",
}
LINK = re.compile(r"\]\(([^)#:\s]+)")


def setup(app):
    app.connect("builder-inited", make)
    app.connect("source-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write the pages that lie at the top of the repository."""
    for file, page in FRONT.items():
        write(page, moved(file.read_text(encoding="utf-8"), file.parent, page.parent))


def link(app, name, text):
    """Let the links of a page lead to other pages."""
    folder = Path(app.env.doc2path(name)).parent
    text[0] = moved(text[0], folder, folder)


def moved(text: str, old: Path, new: Path) -> str:
    """Markdown whose links to files are as seen from the folder `new`, not `old`, and lead to the page where there is one."""

    def target(found: re.Match) -> str:
        file = Path(os.path.normpath(old / found[1]))
        return f"]({os.path.relpath(PLACES.get(file, file), new)}" if file.exists() else found[0]

    return LINK.sub(target, text)

"""Figures of matplotlib as files: what they show is there in words too, and no line is told from another by colour alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", "--", "-.", ":")  # of the lines in one picture, in order
MARKERS = "osD^vP*X"  # of the points


def save(figure: Figure, path: str | Path, title: str, words: str) -> None:
    """A PNG file or, if that is how `path` ends, SVG, with the title and the words where a screen reader finds them."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".svg":
        figure.savefig(path, format="png", dpi=150, metadata={"Title": title, "Description": words})
        return
    import matplotlib

    written = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):  # the same figure, the same file
        figure.savefig(written, format="svg", metadata={"Title": title, "Date": None})
    text = written.getvalue().replace("</title>", f"</title>\n <desc>{escape(words)}</desc>", 1)
    path.write_text(text.replace("<svg ", '<svg role="img" ', 1), encoding="utf-8")

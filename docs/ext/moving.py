"""The directive {moving}: a figure of docs/moving in one piece of HTML, which works from a file and without scripts."""

import importlib.util
import json
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

MOVING = Path(__file__).resolve().parent.parent / "moving"


def names() -> list[str]:
    """The figures: every docs/moving/<name>.js with a <name>.py beside it."""
    return sorted(path.stem for path in MOVING.glob("*.py") if path.with_suffix(".js").exists())


def numbers(name: str) -> ModuleType:
    """The module docs/moving/<name>.py: data(), still() and expected()."""
    spec = importlib.util.spec_from_file_location(f"moving_{name}", MOVING / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def html(name: str) -> str:
    """The figure: its still picture, its style, its data and its script. ValueError for a name without a figure."""
    if name not in names():
        raise ValueError(f"moving: there is no figure {name!r} in docs/moving; there are {', '.join(names())}")
    module = numbers(name)
    data = json.dumps(module.data()).replace("<", "\\u003c")  # "</script>" in a string would end the element
    css, shared, own = ((MOVING / file).read_text() for file in ("moving.css", "shared.js", f"{name}.js"))
    return f"""<figure class="moving" id="moving-{escape(name)}">
<style>{css}</style>
<div class="moving-still">{module.still()}</div>
<script type="application/json">{data}</script>
<script>(function () {{
"use strict";
const root = document.getElementById("moving-{escape(name)}");
{shared}
{own}
}})();</script>
</figure>"""


class Moving(Directive):
    """```{moving} name```"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The figure as raw HTML; the page is built again when a file of the figure changes."""
        name = self.arguments[0]
        try:
            text = html(name)
        except ValueError as error:
            raise self.error(str(error)) from error
        for file in ("moving.css", "shared.js", f"{name}.js", f"{name}.py"):
            self.state.document.settings.record_dependencies.add(str(MOVING / file))
        return [nodes.raw("", text, format="html")]


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.add_directive("moving", Moving)
    return {"parallel_read_safe": True}

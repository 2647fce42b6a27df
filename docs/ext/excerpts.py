"""Excerpts in the results of a search where the site is read from files. Browsers let no script read another page there; but
they load scripts, so the words of each page are in one too, which excerpts.js asks for."""

import json
from html import escape
from pathlib import Path

from _made import write
from docutils import nodes

FOLDER = "_static/words"


def setup(app):
    app.connect("html-page-context", keep)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def keep(app, page, template, context, doctree):
    """Write the words of a page; the page of the search gets the script that shows them."""
    if page == "search":
        app.add_js_file("excerpts.js")
    elif doctree is not None:
        said = f"(window.said ??= {{}})[{json.dumps(page)}] = {json.dumps(words(doctree), ensure_ascii=False)};\n"
        write(Path(app.outdir, FOLDER, f"{page}.js"), said)


def words(node: nodes.Node) -> str:
    """What a page says as HTML without a form, where Sphinx's searchtools.js looks for an excerpt."""
    if isinstance(node, nodes.Text):
        return escape(node.astext(), quote=False)
    if isinstance(node, (nodes.raw, nodes.comment)):
        return ""
    text = "".join(map(words, node.children))
    if isinstance(node, nodes.document):
        return f'<div role="main">{text}</div>'
    ids = node.get("ids", ())
    text = "".join(f'<div id="{name}">' for name in ids) + text + "</div>" * len(ids)
    return text if isinstance(node, nodes.Inline) else f"{text}\n"

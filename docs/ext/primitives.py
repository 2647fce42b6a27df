"""The page that lists the pages of the primitives: a new one is in the table of contents by itself."""

from _made import MADE, write

from scratchnet.ops import OPS, PRIMITIVES


def setup(app):
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write the page: for each primitive a link and the operators of its family."""
    families = {primitive: [f"`{op.name}`" for op in OPS.values() if op.primitive == primitive] for primitive in PRIMITIVES}
    rows = "\n".join(f"- [{primitive}](/{primitive}.md): {', '.join(names)}" for primitive, names in families.items())
    pages = "\n".join(f"/{primitive}" for primitive in PRIMITIVES)
    intro = "Each is derived, with its numerical trap, the bytes that it has to move, and its ladder."
    write(MADE / "primitives.md", f"# Primitives\n\n{intro}\n\n{rows}\n\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n")

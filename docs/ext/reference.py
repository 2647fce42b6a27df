"""The reference: every public name with its signature and its docstring, which is Markdown already."""

import inspect
import re
from importlib import import_module

from _made import MADE, write

FOLDER = MADE / "reference"
BELOW = ("nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler", "data", "training", "numpy", "checker")
ROOMS = ("scratchnet", *(f"scratchnet.{room}" for room in BELOW))
OUTSIDE_CODE = re.compile(r"(`[^`]*`)|\*")


def setup(app):
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write a page for each room and the list of them."""
    names = "".join(f"{room}\n" for room in ROOMS)
    write(FOLDER / "index.md", f"# Reference\n\n```{{toctree}}\n{names}```\n")
    for room in ROOMS:
        write(FOLDER / f"{room}.md", page(room))


def page(room: str) -> str:
    """A room in Markdown: our names, then those that are torch's own."""
    ours, theirs = names(room)
    module = import_module(room)
    parts = [f"# {room}\n", f"{markdown(module)}\n", f"```{{py:module}} {room}\n```\n"]
    parts += [entry(name, getattr(module, name)) for name in ours]
    if theirs:
        parts.append(f"## torch's own\n\nUnder the same names, unchanged: {', '.join(f'`{name}`' for name in theirs)}.\n")
    return "\n".join(parts)


def names(room: str) -> tuple[list[str], list[str]]:
    """The public names of a room: ours, and torch's."""
    module = import_module(room)
    found = sorted(module.__all__)
    home = {name: getattr(value, "__module__", getattr(value, "__name__", room)) for name, value in vars(module).items()}
    ours = [name for name in found if not home.get(name, room).startswith("torch")]
    return ours, [name for name in found if name not in ours]


def entry(name: str, value) -> str:
    """A name with what it holds, as directives of Sphinx's Python domain."""
    if inspect.ismodule(value):
        link = f"[{value.__name__}]({value.__name__}.md)" if value.__name__ in ROOMS else markdown(value)
        return f"::::{{py:data}} {name}\n:no-index:\n\nA module. {link}\n::::\n"
    if inspect.isclass(value):
        members = "\n".join(member(own, part) for own, part in vars(value).items() if own[0] != "_" and documented(part))
        return f"::::{{py:class}} {name}{signature(value)}\n{markdown(value)}\n\n{members}\n::::\n"
    if callable(value):
        return f"::::{{py:function}} {name}{signature(value)}\n{markdown(value)}\n::::\n"
    return f"::::{{py:data}} {name}\nA {type(value).__name__}.\n::::\n"


def member(name: str, value) -> str:
    """A method or property of a class."""
    if isinstance(value, property):
        return f":::{{py:property}} {name}\n{markdown(value)}\n:::\n"
    kind = {staticmethod: "\n:staticmethod:", classmethod: "\n:classmethod:"}.get(type(value), "")
    value = getattr(value, "__func__", value)
    return f":::{{py:method}} {name}{signature(value)}{kind}\n{markdown(value)}\n:::\n"


def documented(part) -> bool:
    """Whether it is a method or property with words of its own, not torch's."""
    return (inspect.isroutine(part) or isinstance(part, property)) and bool(part.__doc__)


def signature(value) -> str:
    """The arguments as a reader writes them, and what a function returns; a value that has no literal is dots."""
    try:
        text = str(inspect.signature(value))
    except ValueError:
        return "()"
    text = re.sub(r"<[^<>]*>", "...", re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)).replace("NoneType", "None")
    return text.removesuffix(" -> None") if inspect.isclass(value) else text


def markdown(value) -> str:
    """A docstring; its asterisks are products and shapes, not emphasis."""
    lines = inspect.cleandoc(value.__doc__ or "").splitlines()
    return "\n".join(
        line if line.startswith("    ") else OUTSIDE_CODE.sub(lambda found: found[1] or r"\*", line) for line in lines
    )

"""The rooms of the house stand on one another: none imports, by whatever detour, a room that imports it."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "kernels").exists(), reason="the sources are in a clone")


def room(module: str) -> str:
    """The folder or, at the top level, the file of a module `scratchnet.<room>...`."""
    return module.split(".")[1]


def imported(path: Path) -> set[str]:
    """The rooms that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "scratchnet":
            found |= {name.name for name in node.names if (ROOT / "scratchnet" / name.name).is_dir()}
            found |= {name.name for name in node.names if (ROOT / "scratchnet" / f"{name.name}.py").is_file()}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scratchnet."):
            found.add(room(node.module))
        elif isinstance(node, ast.Import):
            found |= {room(name.name) for name in node.names if name.name.startswith("scratchnet.")}
    return found


def test_no_room_stands_on_itself():
    """`scratchnet/__init__.py` is the front door: it may know every room."""
    files = {path: path.relative_to(ROOT / "scratchnet") for path in (ROOT / "scratchnet").rglob("*.py")}
    files |= {path: path.relative_to(ROOT) for path in (ROOT / "kernels").rglob("*.py")}
    rooms: dict[str, set[str]] = {}
    for path, name in files.items():
        if str(name) != "__init__.py":
            own = name.with_suffix("").parts[0]
            rooms.setdefault(own, set()).update(imported(path) - {own})
    assert len(rooms) > 20
    order = list(TopologicalSorter(rooms).static_order())  # CycleError names a circle
    assert order.index("ops") < order.index("functions") < order.index("nn") < order.index("course")

"""An operator is described once: a new option touches few parameter lists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="the sources are in a clone")


def python_lists(option: str) -> list[str]:
    """Functions with a parameter of that name, and NamedTuples with such a field."""
    found = []
    for path in [*(ROOT / "scratchnet").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]:
        if "course" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.FunctionDef):
                names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            elif isinstance(node, ast.ClassDef):
                names = [field.target.id for field in node.body if isinstance(field, ast.AnnAssign)]
            if option in names:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    return found


def cpp_lists(option: str) -> list[str]:
    """Parameter lists with `double <option>`."""
    return [
        f"{path.relative_to(ROOT)}: {match[0].strip()}"
        for path in (ROOT / "csrc").rglob("*.*")
        for match in re.finditer(rf"\b(?:double|int64_t|bool) {option}\b[^;=]*[,)]", path.read_text(encoding="utf-8"))
    ]


def test_an_option_of_cross_entropy_is_in_nine_parameter_lists():
    """As label_smoothing, one of them for CrossEntropyLoss, which has torch's own; linear_cross_entropy need not offer it.

    Before options were one value in every column it was in 29.
    """
    lists = python_lists("label_smoothing") + cpp_lists("label_smoothing")
    offered = [one for one in lists if one.endswith(" linear_cross_entropy") or one.startswith("scratchnet/nn/loss.py")]
    assert len(offered) == 2, lists  # the function and LinearCrossEntropyLoss
    assert 1 + len(lists) - len(offered) <= 9, "\n".join(lists)

"""Every public name says what it computes, on which shapes, what it raises, and which concept of the lessons it serves."""

import inspect
import re
from importlib import import_module

import pytest
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

MODULES = ["", ".data", ".nn", ".nn.functional", ".nn.init", ".nn.utils", ".numpy", ".optim", ".optim.lr_scheduler", ".training"]
PUBLIC = {
    f"scratchnet{module}.{name}": value
    for module in MODULES
    for name in import_module(f"scratchnet{module}").__all__
    if callable(value := getattr(import_module(f"scratchnet{module}"), name))
    and getattr(value, "__module__", "").startswith("scratchnet.")
}
CONCEPT = re.compile(r"\bConcept (\d+): ([^.]+)\.")
SHAPE = re.compile(r"\([\w*/ .]*,[^()]*\)|\([NBTMCD]\)|\b(any|one|given|its|same|whole) shape|\bshape of|[Ee]lementwise|two axes|axes")
RAISED = re.compile(r"(?:raise |fail\(\s*)(\w+Error)\b")
each = pytest.mark.parametrize("name", PUBLIC)


def parts(value):
    """A function, or a class with the methods and properties of its own."""
    members = vars(value).items() if inspect.isclass(value) else ()
    own = [m for name, m in members if (not name.startswith("_") or name == "__init__") and callable(getattr(m, "fget", None) or m)]
    return [value, *own]


def text(value):
    """All that is said about it, on one line."""
    return " ".join(" ".join((inspect.getdoc(part) or "").split()) for part in parts(value))


@each
def test_everything_has_a_docstring(name):
    bare = [part for part in parts(PUBLIC[name]) if not inspect.getdoc(part)]
    assert not bare


@each
def test_the_concept_is_named(name):
    assert CONCEPT.search(text(PUBLIC[name])), inspect.getdoc(PUBLIC[name])


def test_a_concept_has_one_name():
    named = {pair for value in PUBLIC.values() for pair in CONCEPT.findall(text(value))}
    assert len({number for number, _ in named}) == len(named), sorted(named)
    assert all(1 <= int(number) <= 90 for number, _ in named)


@each
def test_the_shapes_are_given(name):
    value = PUBLIC[name]
    if inspect.isclass(value) and issubclass(value, (Optimizer, LRScheduler)):
        return  # they take parameters of any shape
    calls = [f for f in [value, getattr(value, "forward", None)] if f]
    annotations = [str(p.annotation) for f in calls for p in inspect.signature(f).parameters.values()]
    if any("Tensor" in a or "ndarray" in a for a in annotations):
        assert SHAPE.search(text(value)), inspect.getdoc(value)


@each
def test_the_errors_are_named(name):
    value = PUBLIC[name]
    raised = set(RAISED.findall(inspect.getsource(inspect.unwrap(value)))) - {"NotImplementedError"}
    assert all(error in text(value) for error in raised), (raised, inspect.getdoc(value))

"""Every public name says what it computes, on which shapes and what it raises; the course says which concept it serves."""

import inspect
import re
from importlib import import_module

import pytest
from test_book import reference
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from scratchnet.course import CONCEPTS, SERVED_BY

ROOMS = [room for room in reference.ROOMS if room != "scratchnet.checker"]  # which computes nothing
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in map(import_module, ROOMS)
    for name in module.__all__
    if getattr(getattr(module, name), "__module__", "").startswith("scratchnet.")
}
SHAPE = re.compile(r"\([\w*/ .]*,[^()]*\)|\([A-Z]\)|[Ss]hape|elementwise")
RAISED = re.compile(r"(?:raise |fail\(\s*)(\w+Error)\b")
each = pytest.mark.parametrize("name", PUBLIC)


def parts(value):
    """A function, or a class with its own methods and properties."""
    members = vars(value).items() if inspect.isclass(value) else ()
    return [value, *(m for name, m in members if name[0] != "_" and (inspect.isroutine(m) or isinstance(m, property)))]


def text(value):
    """All its docstrings on one line; for a NumPy function also that of its file, which holds the mathematics."""
    documents = [inspect.getdoc(part) for part in parts(value)]
    if value.__module__.startswith(("scratchnet.numpy.", "scratchnet.oracle.")) and inspect.isfunction(value):
        documents.append(inspect.getmodule(value).__doc__)
    return " ".join(" ".join(filter(None, documents)).split())


@each
def test_everything_has_a_docstring(name):
    assert PUBLIC[name].__doc__ and all(inspect.getdoc(part) for part in parts(PUBLIC[name]))


def test_every_name_serves_a_concept():
    """In the course's one map, which names nothing else."""
    served = {f"scratchnet.{name}" for names in SERVED_BY.values() for name in names}
    assert served == PUBLIC.keys() and set(SERVED_BY) <= set(CONCEPTS)


@each
def test_the_shapes_are_given(name):
    value = PUBLIC[name]
    if inspect.isclass(value) and issubclass(value, (Optimizer, LRScheduler, Warning)):
        return  # the first take parameters of any shape
    calls = [f for f in [value, getattr(value, "forward", None)] if f]
    annotations = [str(p.annotation) for f in calls for p in inspect.signature(f).parameters.values()]
    if any("Tensor" in a or "ndarray" in a for a in annotations):
        assert SHAPE.search(text(value)), inspect.getdoc(value)


@each
def test_the_errors_are_named(name):
    """Those that it raises itself, except for an argument of another Python type and a method that a subclass has to write."""
    value = PUBLIC[name]
    source = inspect.getsource(inspect.unwrap(value))
    if value.__module__.startswith("scratchnet.functions.") and inspect.isfunction(value):
        explain = import_module(value.__module__.replace("functions", "functions.explain"))
        source += inspect.getsource(getattr(explain, value.__name__))
    raised = set(RAISED.findall(source)) - {"TypeError", "NotImplementedError"}
    assert all(error in text(value) for error in raised), (raised, inspect.getdoc(value))

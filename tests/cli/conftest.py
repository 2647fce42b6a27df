"""What the tests of the commands share."""

import pytest

import scratchnet
from scratchnet import backends
from scratchnet.functions import gelu
from scratchnet.measure import bench
from scratchnet.measure.roof import Roof


@pytest.fixture(autouse=True)
def no_backend_named():
    """Whatever SCRATCHNET_BACKEND says."""
    with scratchnet.backend(None):
        yield


@pytest.fixture
def plant(monkeypatch):
    """Replace the reference's GELU: `plant(lambda y: y * 2)` changes what it returns."""
    right = gelu._gelu.formula

    def change(wrong):
        monkeypatch.setattr(gelu._gelu, "formula", lambda x, tanh: wrong(right(x, tanh)))

    return change


@pytest.fixture
def clock(monkeypatch):
    """Every call runs once and is reported to take 0.1 s on a named backend and 0.2 s without one (torch's own)."""

    def timed(call, repeat, device):
        call()
        return 0.2 if backends.current() is None else 0.1

    monkeypatch.setattr(bench, "timed", timed)
    monkeypatch.setattr(Roof, "measure", lambda device, dtype: Roof(1e9, 1e10))

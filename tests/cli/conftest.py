"""What the tests of the commands share."""

import pytest

from scratchnet import backends, bench
from scratchnet.functions import gelu


@pytest.fixture
def plant(monkeypatch):
    """Replace the torch column's GELU: `plant(lambda y: y * 2)` changes what it returns."""
    right = gelu._gelu.formula

    def change(wrong):
        monkeypatch.setattr(gelu._gelu, "formula", lambda x, tanh: wrong(right(x, tanh)))

    return change


@pytest.fixture
def clock(monkeypatch):
    """Every call runs once and is said to have taken 1 ms on a named backend and 2 ms without (torch's own)."""

    def timed(call, repeat):
        call()
        return 2e-3 if backends.current() is None else 1e-3

    monkeypatch.setattr(bench, "_timed", timed)
    monkeypatch.setattr(bench, "bandwidth", lambda: 1e9)

"""These tests are about our kernels; small tensors would otherwise take torch's own functions."""

import pytest

import scratchnet


@pytest.fixture(autouse=True)
def cpp():
    with scratchnet.backend("cpp"):
        yield

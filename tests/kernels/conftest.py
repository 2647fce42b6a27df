"""These tests run in Triton's interpreter on CPU tensors, or on a GPU with `pytest --device cuda`."""

import pytest
import torch


@pytest.fixture(autouse=True)
def device(request):
    """The default device of new tensors."""
    with torch.device(request.config.getoption("--device")) as device:
        yield device

"""Where the kernels run: on CPU tensors in the interpreter, or with `pytest --device cuda` for real."""

import pytest
import torch


@pytest.fixture(autouse=True)
def device(request):
    """New tensors are made there."""
    with torch.device(request.config.getoption("--device")) as device:
        yield device

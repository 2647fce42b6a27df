"""What is special to soft clipping: its limit."""

import pytest
import torch
from cases import rungs

import scratchnet


@pytest.mark.parametrize("backend", rungs("soft_clip"))
def test_the_limit_is_not_reached(backend):
    x = torch.tensor([-1e30, -2.0, 0.0, 2.0, 1e30])
    with scratchnet.backend(backend):
        torch.testing.assert_close(scratchnet.soft_clip(x, 2.0), torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))

"""Triton's sums by index: over a sorted index too, and nothing added to another line than the index says."""

import pytest
import torch

from scratchnet.columns import kernel
from scratchnet.measure.verify import LAYOUTS, compare
from scratchnet.ops import OPS, DimOptions

pytest.importorskip("triton", reason="needs Triton: pip install triton")

NAMES = ("gather", "embedding", "embedding_bag", "scatter_add", "index_add")
SUMS = [(name, example) for name in NAMES for example in OPS[name].examples]


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True, warn_only=True)  # of torch's own some have no such form
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("name, example", SUMS)
def test_over_a_sorted_index_against_the_oracle(name, example, dtype):
    for (rows, columns), layout in zip(((3, 2), (9, 20)), ("sliced", "transposed"), strict=True):
        result = compare(OPS[name], example, rows, columns, dtype, "triton", LAYOUTS[layout])
        assert result.ok, result


@pytest.mark.parametrize("index", ([[3], [0]], [[0], [-1]]), ids=str)
def test_an_index_out_of_range_is_not_a_place_in_another_line(index):
    """In memory, entry 3 of a first row of three is entry 0 of the second."""
    index, src, options = torch.tensor(index), torch.ones(2, 1), DimOptions(1)
    with pytest.raises((RuntimeError, IndexError)):
        kernel(OPS["scatter_add"], "triton", "forward")(torch.zeros(2, 3), src, index, options)
    with pytest.raises((RuntimeError, IndexError)):
        kernel(OPS["gather"], "triton", "backward")(src, [2, 3], index, options)

"""Wrong calls of scatter_add and index_add."""

import numpy as np
from wrong import BOOL, F64, I32, Wrong, i, meta, x

SHAPES = "[3, 3] to be no larger than self [2, 3] apart from dimension 1 | src"
WRONG = [
    Wrong("scatter_add", (x(2, 3), 1, i([0, 3]), x(1, 2)), "index", "index 3 is out of bounds for dimension 1 | (0, 1)"),
    Wrong("scatter_add", (x(2, 3), 0, i([0, -1]), x(1, 2)), "index", "index -1 is out of bounds | (0, 1) | negative"),
    Wrong("scatter_add", (x(4), 0, i(0, 4, dtype=I32), x(2)), "index", "index 4 is out of bounds | (1,)"),
    Wrong("scatter_add", (x(2, 3), 0, i(0, 2).view(2, 1).expand(2, 3), x(2, 3)), "index", "index 2 is out of bounds"),
    Wrong("scatter_add", (x(2, 3), 1, i([0], [0], [0]).expand(3, 3), x(3, 3)), "index", SHAPES),
    Wrong("scatter_add", (x(2, 3), 1, i([0, 1]), x(1, 1)), "index", "no larger size than src [1, 1]"),
    Wrong("scatter_add", (x(2, 3), 1, i(0, 1), x(1, 2)), "index", "same number of dimensions | (2,) | unsqueeze"),
    Wrong("scatter_add", (x(2, 3), 2, i([0]), x(1, 1)), "dim", "range of [-2, 1], but got 2"),
    Wrong("scatter_add", (x(2, 3), 1.0, i([0]), x(1, 1)), "dim", "must be int, not float"),
    Wrong("scatter_add", (x(2, 3), 1, x(1, 2), x(1, 2)), "index", "int32/int64 | torch.float32 | .long()"),
    Wrong("scatter_add", (x(2, 3), 1, i([0, 1]), x(1, 2, dtype=F64)), "src", "float32 | float64 | .to(input.dtype)"),
    Wrong("scatter_add", (x(2, 3), 1, i([0, 1]), 1.0), "src", "must be Tensor, not float"),
    Wrong("scatter_add", (x(2, 3), 1, [[0, 1]], x(1, 2)), "index", "must be Tensor, not list"),
    Wrong("scatter_add", (x(2, 3), 1, meta(1, 2).long(), x(1, 2)), "index", "meta | cpu", error=RuntimeError),
    Wrong("index_add", (x(4, 3), 0, i(0, 4), x(2, 3)), "index", "index 4 is out of bounds for dimension 0 with size 4 | (1,)"),
    Wrong("index_add", (x(4, 3), 1, i(-1), x(4, 1)), "index", "index -1 is out of bounds | (0,) | negative"),
    Wrong("index_add", (x(4), 0, i(0, 4), x(2)), "index", "4 is out of bounds | index out of range in self"),
    Wrong("index_add", (x(4, 3), 0, i([0, 1]), x(2, 3)), "index", "a vector | [1, 2] | scatter_add"),
    Wrong("index_add", (x(4, 3), 0, i(0, 1), x(3, 3)), "index", "Number of indices (2) | (3)"),
    Wrong("index_add", (x(4, 3), 0, i(0, 1), x(2, 4)), "source", "excluding the specified dimension | [4, 3] | [2, 4]"),
    Wrong("index_add", (x(4, 3), 0, i(0, 1), x(2)), "source", "[4, 3] | [2]"),
    Wrong("index_add", (x(4, 3), -3, i(0, 1), x(2, 3)), "dim", "range of [-2, 1], but got -3"),
    Wrong("index_add", (x(4, 3), 0, i(0, 1, dtype=BOOL), x(2, 3)), "index", "int32/int64 | torch.bool | .long()"),
    Wrong("index_add", (x(4, 3), 0, i(0, 1), x(2, 3, dtype=F64)), "source", "same scalar type | float64 | .to(input.dtype)"),
    Wrong("index_add", (x(4, 3), 0, i(0, 1), x(2, 3)), "alpha", "must be Number, not str", {"alpha": "1"}),
    Wrong("index_add", (np.ones((4, 3)), 0, i(0, 1), x(2, 3)), "input", "must be Tensor, not ndarray"),
]

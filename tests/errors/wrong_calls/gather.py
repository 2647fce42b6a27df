"""Wrong calls of gather and embedding."""

import numpy as np
import torch
from wrong import BOOL, I32, I64, Wrong, i, meta, x

F_EMB = "nn.functional.embedding"
WRONG = [
    Wrong("gather", (x(2, 3), 1, i([0, 3])), "index", "index 3 is out of bounds for dimension 1 with size 3 | (0, 1) | 0 to 2"),
    Wrong(
        "gather",
        (x(2, 3), 0, i([0, 1, 0], [0, 1, 2])),
        "index",
        "index 2 is out of bounds for dimension 0 with size 2 | (1, 2)",
    ),
    Wrong("gather", (x(2, 3), 1, i([0, -1])), "index", "index -1 is out of bounds | (0, 1) | negative"),
    Wrong("gather", (x(2, 3), -1, i([0, 3])), "index", "index 3 is out of bounds for dimension 1 with size 3"),
    Wrong("gather", (x(4), 0, i(0, 4, dtype=I32)), "index", "index 4 is out of bounds | (1,)"),
    Wrong("gather", (x(2, 3, dtype=I64), 1, i([0, 3])), "index", "index 3 is out of bounds"),
    Wrong("gather", (x(2, 3), 1, i([0, 3])), "index", "index 3 is out of bounds | (0, 1)", {"sparse_grad": True}),
    Wrong("gather", (x(2, 3), 1, i(0, 1)), "index", "same number of dimensions | (2,) | (2, 3) | unsqueeze"),
    Wrong("gather", (x(2, 3), 1, i([0], [0], [0])), "index", "dimension 0 | [3, 1] | [2, 3]"),
    Wrong("gather", (x(2, 3), 2, i([0])), "dim", "range of [-2, 1], but got 2"),
    Wrong("gather", (x(2, 3), -3, i([0])), "dim", "range of [-2, 1], but got -3"),
    Wrong("gather", (x(2, 3), 2, torch.empty(0, 0, dtype=I64)), "dim", "range of [-2, 1], but got 2"),
    Wrong("gather", (x(2, 3), 1.0, i([0])), "dim", "must be int, not float"),
    Wrong("gather", (x(2, 3), 1, x(1, 2)), "index", "int32/int64 | torch.float32 | .long()"),
    Wrong("gather", (x(2, 3), 1, i([0, 1], dtype=BOOL)), "index", "int32/int64 | torch.bool | .long()"),
    Wrong("gather", (x(2, 3), 1, [[0, 1]]), "index", "must be Tensor, not list"),
    Wrong("gather", (np.ones((2, 3)), 1, i([0])), "input", "must be Tensor, not ndarray"),
    Wrong("gather", (x(2, 3), 1, meta(1, 2, dtype=I64)), "index", "meta | cpu", error=RuntimeError),
    Wrong(F_EMB, (i(0, 5), x(5, 2)), "input", "index out of range | 5 | (1,) | 0 to 4"),
    Wrong(F_EMB, (i([0, 1], [-1, 2]), x(5, 2)), "input", "index out of range | -1 | (1, 0) | negative"),
    Wrong(F_EMB, (i(0, 9, dtype=I32), x(5, 2)), "input", "index out of range | 9 | (1,)"),
    Wrong(F_EMB, (i(0, 5), x(5, 2)), "input", "index out of range | 5 | (1,)", {"max_norm": 0.1}),
    Wrong(F_EMB, (i(0, 5), x(5, 2)), "input", "index out of range | 5 | (1,)", {"sparse": True}),
    Wrong(F_EMB, (x(3), x(5, 2)), "input", "Long, Int | torch.float32 | .long()"),
    Wrong(F_EMB, (x(5, 2), i(0, 1)), "weight", "2-D | (2,)"),
    Wrong(F_EMB, (i(0, 1), x(5)), "weight", "2-D | (5,)"),
    Wrong(F_EMB, ([0, 1], x(5, 2)), "input", "must be Tensor, not list"),
    Wrong(F_EMB, (i(0, 1), None), "weight", "must be Tensor, not NoneType"),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "padding_idx", "within num_embeddings | -5 to 4 | got 5", {"padding_idx": 5}),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "padding_idx", "within num_embeddings | -5 to 4 | got -6", {"padding_idx": -6}),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "padding_idx", "must be int, not float", {"padding_idx": 1.5}),
    Wrong(F_EMB, (i(0, 1), meta(5, 2)), "weight", "meta | cpu", error=RuntimeError),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "max_norm", "must be float, not str", {"max_norm": "1"}),
    Wrong("nn.Embedding", (i(0, 5),), "input", "index out of range | 5 | (1,)", made_with=(5, 2), blames="embedding"),
    Wrong("nn.Embedding", (x(3),), "input", "Long, Int", made_with=(5, 2), blames="embedding"),
    Wrong("nn.Embedding", (5, 2, 5), "padding_idx", "within num_embeddings | -5 to 4 | got 5"),
    Wrong("nn.Embedding", (5, 2, -6), "padding_idx", "within num_embeddings | -5 to 4 | got -6"),
    Wrong("nn.Embedding", (5, 2), "_weight", "(2, 5) | (5, 2)", {"_weight": x(2, 5)}),
    Wrong("nn.Embedding.from_pretrained", (x(5),), "embeddings", "2-dimensional | (5,)", blames="Embedding.from_pretrained"),
]

"""Wrong calls of embedding_bag."""

from wrong import F64, I64, Wrong, i, meta, x

F_BAG = "nn.functional.embedding_bag"
ONE = i(0)
SEGMENTS, MEAN = "segment_reduce", (x(3, 2), "mean")
WRONG = [
    Wrong(F_BAG, (i(0, 5), x(5, 2), ONE), "input", "out of range: 5 | (1,) | 0 to 4"),
    Wrong(F_BAG, (i([0, -1]), x(5, 2)), "input", "out of range: -1 | (0, 1) | negative", {"mode": "sum"}),
    Wrong(F_BAG, (i(0, 5), x(5, 2), ONE), "input", "out of range: 5 | (1,)", {"mode": "max"}),
    Wrong(F_BAG, (i(0, 5), x(5, 2), ONE), "input", "out of range: 5 | (1,)", {"max_norm": 0.1}),
    Wrong(F_BAG, (i(0, 1), x(5, 2), i(1)), "offsets", "offsets[0] has to be 0 | got 1"),
    Wrong(F_BAG, (i(0, 1), x(5, 2), i(0, 3)), "offsets", "input's length 2 | 3 | (1,)"),
    Wrong(F_BAG, (i(0, 1), x(5, 2)), "offsets", "1D Tensor but got None | unsqueeze(0)"),
    Wrong(F_BAG, (i(0, 1), x(5, 2), i([0])), "offsets", "1D Tensor | (1, 1)"),
    Wrong(F_BAG, (i([0, 1]), x(5, 2), ONE), "offsets", "input is 2D | None | flatten"),
    Wrong(F_BAG, (i([[0]]), x(5, 2)), "input", "1D or 2D Tensor | 3"),
    Wrong(F_BAG, (i(0, 1), x(5), ONE), "weight", "2D Tensor | (5,)"),
    Wrong(F_BAG, (x(2), x(5, 2), ONE), "input", "Long, Int | torch.float32 | .long()"),
    Wrong(F_BAG, (i(0, 1), x(5, 2), x(1)), "offsets", "Long, Int | torch.float32 | .long()"),
    Wrong(F_BAG, (i(0, 1), x(5, 2, dtype=I64), ONE), "weight", "Float | torch.int64 | .float()"),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "mode", "sum, mean or max | 'prod'", {"mode": "prod"}),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "padding_idx", "-5 through 4 | got 5", {"padding_idx": 5}),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "padding_idx", "must be int, not float", {"padding_idx": 1.5}),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "per_sample_weights", "(3,) | (2,)", {"per_sample_weights": x(3), "mode": "sum"}),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "per_sample_weights", "mode='sum' | 'mean'", {"per_sample_weights": x(2)}),
    Wrong(
        F_BAG,
        (i(0, 1), x(5, 2), ONE),
        "per_sample_weights",
        "float32 | float64 | .to(weight.dtype)",
        {"per_sample_weights": x(2, dtype=F64), "mode": "sum"},
    ),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "scale_grad_by_freq", "max mode", {"mode": "max", "scale_grad_by_freq": True}),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "sparse", "max mode", {"mode": "max", "sparse": True}),
    Wrong(F_BAG, (i(0, 1), x(5, 2), ONE), "max_norm", "must be float, not str", {"max_norm": "1"}),
    Wrong(F_BAG, (i([0, 1]), meta(5, 2)), "weight", "meta | cpu", error=RuntimeError),
    Wrong("nn.EmbeddingBag", (i([0, 5]),), "input", "out of range: 5 | (0, 1)", made_with=(5, 2), blames="embedding_bag"),
    Wrong("nn.EmbeddingBag", (5, 2), "padding_idx", "within num_embeddings | -5 to 4 | got 5", {"padding_idx": 5}),
    Wrong("nn.EmbeddingBag", (5, 2), "_weight", "(2, 5) | (5, 2)", {"_weight": x(2, 5)}),
    Wrong("nn.EmbeddingBag.from_pretrained", (x(5),), "embeddings", "2-dimensional", blames="EmbeddingBag.from_pretrained"),
    Wrong(SEGMENTS, MEAN, "lengths", "sum to data.size(0), 3 | got 4", {"lengths": i(1, 3)}),
    Wrong(SEGMENTS, MEAN, "lengths", "negative value | lengths >= 0", {"lengths": i(4, -1)}),
    Wrong(SEGMENTS, MEAN, "offsets", "from 0 to data.size(0), 3: got 1 to 4", {"offsets": i(1, 4)}, error=RuntimeError),
    Wrong(SEGMENTS, MEAN, "offsets", "negative value | offsets that rise", {"offsets": i(0, 4, 3)}),
]

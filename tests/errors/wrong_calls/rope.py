"""Wrong calls of rope."""

from wrong import BF16, F64, I64, Wrong, i, meta, x

Q, K, C = x(2, 4, 5, 6), x(2, 2, 5, 6), x(5, 6)
TABLE = x(7, 6)

WRONG = [
    Wrong("rope", (Q.long(), K, C, C), "query", "Long | .float()", error=NotImplementedError),
    Wrong("rope", (Q, None, C, C), "key", "must be Tensor, not NoneType", error=TypeError),
    Wrong("rope", (Q, K, C.long(), C), "cos", "Long | .float()", error=NotImplementedError),
    Wrong("rope", (Q, K, C, [[1.0] * 6] * 5), "sin", "must be Tensor, not list | torch.as_tensor", error=TypeError),
    Wrong("rope", (Q, K.to(BF16), C, C), "key", "torch.float32 | torch.bfloat16 | key.to(query.dtype)", error=RuntimeError),
    Wrong("rope", (Q, meta(2, 2, 5, 6), C, C), "key", "same device | meta | key.to(query.device)", error=RuntimeError),
    Wrong("rope", (Q, K, C, meta(5, 6)), "sin", "same device | meta", error=RuntimeError),
    Wrong("rope", (x(2, 5, 6), K, C, C), "query", "four axes, (B, H, T, D), got (2, 5, 6) | unsqueeze(1)", error=RuntimeError),
    Wrong("rope", (Q, x(10, 6), C, C), "key", "four axes, (B, H, T, D), got (10, 6)", error=RuntimeError),
    Wrong("rope", (Q, x(1, 2, 5, 6), C, C), "key", "query (2, 4, 5, 6), got (1, 2, 5, 6), another B", error=RuntimeError),
    Wrong("rope", (Q, x(2, 2, 5, 8), C, C), "key", "got (2, 2, 5, 8), another D", error=RuntimeError),
    Wrong("rope", (Q, x(2, 4, 3, 6), C, C), "key", "another T | unsqueeze_dim=2 is for (B, T, H, D)", error=RuntimeError),
    Wrong("rope", (Q, K, C, x(5, 4)), "sin", "shape of cos | (5, 6) | (5, 4)", error=RuntimeError),
    Wrong("rope", (Q, K, C, C.to(F64)), "sin", "dtype | torch.float32 | torch.float64", error=RuntimeError),
    Wrong("rope", (Q, K, x(6), x(6)), "cos", "a row for each token | got (6,)", error=RuntimeError),
    Wrong("rope", (Q, K, x(5, 3), x(5, 3)), "cos", "must be even, got (5, 3)", error=RuntimeError),
    Wrong("rope", (Q, K, x(5, 8), x(5, 8)), "cos", "query's 6 columns | got (5, 8)", error=RuntimeError),
    Wrong("rope", (Q, K, TABLE, TABLE), "cos", "(5, R), (1, 5, R) or (2, 5, R), got (7, 6) | position_ids", error=RuntimeError),
    Wrong("rope", (Q, K, x(3, 5, 6), x(3, 5, 6)), "cos", "or (2, 5, R), got (3, 5, 6)", error=RuntimeError),
    Wrong(
        "rope", (Q, K, x(2, 1, 5, 6), x(2, 1, 5, 6)), "cos", "got (2, 1, 5, 6) | leave cos.unsqueeze out", error=RuntimeError
    ),
    Wrong("rope", (Q, K, TABLE, TABLE, [0, 1, 2, 3, 4]), "position_ids", "must be Tensor, not list", error=TypeError),
    Wrong(
        "rope", (Q, K, TABLE, TABLE, x(5)), "position_ids", "int64 or int32, got torch.float32 | .long()", error=RuntimeError
    ),
    Wrong("rope", (Q, K, TABLE, TABLE, i(0, 1, 2)), "position_ids", "(5,), (1, 5) or (2, 5), got (3,)", error=RuntimeError),
    Wrong("rope", (Q, K, TABLE, TABLE, meta(5, dtype=I64)), "position_ids", "same device | meta", error=RuntimeError),
    Wrong("rope", (Q, K, x(1, 5, 6), x(1, 5, 6), i(0, 1, 2, 3, 4)), "cos", "(N, R), got (1, 5, 6) | out", error=RuntimeError),
    Wrong("rope", (Q, K, TABLE, TABLE, i(0, 1, 7, 2, 3)), "position_ids", "index 7 | 7 rows | (2,)", error=IndexError),
    Wrong("rope", (Q, K, TABLE, TABLE, i([0, -1, 1, 2, 3])), "position_ids", "index -1 | (0, 1) | negative", error=IndexError),
    Wrong("rope", (Q, K, C, C), "unsqueeze_dim", "(B, H, T, D) | (B, T, H, D), got 3", {"unsqueeze_dim": 3}, error=ValueError),
    Wrong("rope", (Q, K, C, C), "unsqueeze_dim", "must be int, not float", {"unsqueeze_dim": 1.0}, error=TypeError),
    Wrong("nn.RotaryEmbedding", (5,), "dim", "must be even, got 5", error=ValueError),
    Wrong("nn.RotaryEmbedding", (6, -1.0), "base", "must be positive, got -1.0", error=ValueError),
    Wrong(
        "nn.RotaryEmbedding",
        (x(5, dtype=BF16),),
        "position_ids",
        "torch.bfloat16 | torch.arange(T)",
        made_with=(6,),
        error=RuntimeError,
    ),
    Wrong("nn.RotaryEmbedding", ([0, 1],), "position_ids", "must be Tensor, not list", made_with=(6,), error=TypeError),
    Wrong("rope", (Q, K, C, C), "interleaved", "must be bool, not str", {"interleaved": "yes"}, error=TypeError),
]

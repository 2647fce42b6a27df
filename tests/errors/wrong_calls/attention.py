"""Wrong calls of attention and the Transformer."""

from wrong import Wrong, i, meta, x

MHA = "nn.MultiheadAttention"
WRONG = [
    Wrong(MHA, (0, 2), "embed_dim", "must be greater than 0 | embed_dim=0"),
    Wrong(MHA, (4, 0), "num_heads", "must be greater than 0 | num_heads=0"),
    Wrong(MHA, (8, 3), "num_heads", "must be divisible by num_heads | 8 and 3 | 2 heads would do"),
    Wrong(MHA, (x(4), x(4), x(4)), "query", "2D or batched 3D | 1-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4), x(1, 3, 4), x(3, 4)), "key", "unbatched (2-D) | 3-D and 2-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4), x(3, 2, 4), x(3, 4)), "value", "batched (3-D) | 3-D and 2-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 5),) * 3, "query", "embedding dimension of 4, but got 5 | (3, 2, 5)", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4), x(3, 2, 5), x(3, 2, 5)), "key", "kdim = 4 | (3, 2, 5)", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4), x(3, 5), x(3, 5)), "value", "vdim = 6 | (3, 5)", made_with=(4, 2, 0, True, False, False, 5, 6)),
    Wrong(MHA, (x(3, 2, 4), x(5, 2, 4), x(6, 2, 4)), "value", "(5, 2, 4) | (6, 2, 4) | needs a value", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4), x(3, 1, 4), x(3, 1, 4)), "key", "batch of 2 but got 1 | batch_first=False", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4), [1.0], x(3, 4)), "key", "must be Tensor, not list", made_with=(4, 2), error=TypeError),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "is_causal hint | generate_square", {"is_causal": True}, (4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3 + (i(0, 0, 1),), "key_padding_mask", "2-D | 1-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4),) * 3 + (x(1, 3),), "key_padding_mask", "1-D | 2-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3 + (x(3, 2),), "key_padding_mask", "(2, 3) | (3, 2)", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3 + (i([0, 0, 1], [0, 0, 0]),), "key_padding_mask", "bool | torch.int64", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "2-D or 3-D | 1-D", {"attn_mask": x(3)}, (4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "2D | (3, 4) | (3, 3) = (L, S)", {"attn_mask": x(3, 4)}, (4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "3D | (2, 3, 3) | (4, 3, 3)", {"attn_mask": x(2, 3, 3)}, (4, 2)),
    Wrong(MHA, (x(3, 4),) * 3, "attn_mask", "3D | (1, 3, 3) | (2, 3, 3)", {"attn_mask": x(1, 3, 3)}, (4, 2)),
    Wrong(MHA, (x(3, 4),) * 3, "attn_mask", "bool | .bool()", {"attn_mask": i([0] * 3, [0] * 3, [0] * 3)}, (4, 2)),
    Wrong("nn.TransformerEncoderLayer", (4, 2, 8, 0.1, "tanh"), "activation", "should be relu/gelu, not tanh | callable"),
    Wrong("nn.TransformerEncoderLayer", (x(3, 4), i([0] * 3)), "src_mask", "bool | torch.int64", made_with=(4, 2, 8)),
    Wrong("nn.FeedForward", (4, 8, "tanh"), "activation", "relu/gelu or swiglu/ | not tanh", error=RuntimeError),
    Wrong("nn.TransformerLM", (0, 4, 2, 1, 8), "vocab_size", "at least 1, got 0", error=ValueError),
    Wrong("nn.TransformerLM", (9, 4, 2, 1, -8), "context_length", "at least 1, got -8", error=ValueError),
    Wrong(
        "nn.TransformerLM", (i(1, 2),), "tokens", "(B, T) | (2,) | unsqueeze(0)", made_with=(9, 4, 2, 1, 8), error=ValueError
    ),
    Wrong("nn.TransformerLM", (i([0] * 9),), "tokens", "up to | 8 | (1, 9) | cut", made_with=(9, 4, 2, 1, 8), error=ValueError),
]

SDPA = "nn.functional.scaled_dot_product_attention"
THREE = (x(1, 2, 4, 8), x(1, 2, 5, 8), x(1, 2, 5, 8))
SHARED = (x(1, 4, 4, 8), x(1, 2, 5, 8), x(1, 2, 5, 8))
WRONG += [
    Wrong(SDPA, (1, *THREE[1:]), "query", "must be Tensor, not int"),
    Wrong(SDPA, (*THREE[:2], [1.0]), "value", "must be Tensor, not list | torch.as_tensor"),
    Wrong(SDPA, (x(8), x(8), x(8)), "query", "at least 2 dimensional | (8,)"),
    Wrong(SDPA, (THREE[0], THREE[1].double(), THREE[2]), "key", "same dtype | float64 | key.to(query.dtype)"),
    Wrong(SDPA, (THREE[0], THREE[1], meta(1, 2, 5, 8)), "value", "same device | meta"),
    Wrong(SDPA, (i([[1]]), i([[1]]), i([[1]])), "query", "torch.int64 | .float()"),
    Wrong(SDPA, (THREE[0], x(1, 2, 5, 7), THREE[2]), "key", "last axis | 8 and 7 | inner product"),
    Wrong(SDPA, (THREE[0], THREE[1], x(1, 2, 6, 8)), "value", "5 keys and 6 values", error=RuntimeError),
    Wrong(SDPA, SHARED, "key", "4 heads | got 2 | enable_gqa=True"),
    Wrong(SDPA, (x(1, 4, 4, 8), x(1, 3, 5, 8), x(1, 3, 5, 8)), "key", "must divide | 3 and 4", {"enable_gqa": True}),
    Wrong(SDPA, (x(4, 8), x(5, 8), x(5, 8)), "enable_gqa", "axis of heads", {"enable_gqa": True}),
    Wrong(SDPA, (x(3, 2, 4, 8), x(2, 2, 5, 8), x(2, 2, 5, 8)), "key", "equal or 1 | (3, 2, 4, 8)"),
    Wrong(SDPA, (*THREE, x(4, 6)), "attn_mask", "broadcastable | (4, 6) | (1, 2, 4, 5)"),
    Wrong(SDPA, (*THREE, x(3, 1, 1, 5).bool()), "attn_mask", "broadcastable | (3, 1, 1, 5)"),
    Wrong(SDPA, (*THREE, i(1)), "attn_mask", "bool or float | int64 | True keeps a key"),
    Wrong(SDPA, (*THREE, x(4, 5).double()), "attn_mask", "bool or float | float64"),
    Wrong(SDPA, THREE, "dropout_p", "between 0 and 1 | 1.5", {"dropout_p": 1.5}),
    Wrong(SDPA, THREE, "scale", "must be float, not str", {"scale": "a"}),
    Wrong(SDPA, THREE, "window", "at least 1, got 0 | (before, after)", {"window": 0}, error=ValueError),
    Wrong(SDPA, THREE, "window", "not negative | (-1, 2)", {"window": (-1, 2)}, error=ValueError),
    Wrong(SDPA, THREE, "window", "int or tuple, not float", {"window": 1.5}, error=TypeError),
    Wrong(SDPA, THREE, "softcap", "positive, got -1 | None", {"softcap": -1}, error=ValueError),
    Wrong(SDPA, THREE, "sinks", "2 heads | (3,)", {"sinks": x(3)}, error=RuntimeError),
]

VARLEN = "nn.functional.varlen_attn"
TOKENS = (x(7, 2, 8), x(7, 2, 8), x(7, 2, 8))
ENDS = (i(0, 3, 7), i(0, 3, 7), 4, 4)
WRONG += [
    Wrong(VARLEN, (x(7, 8), *TOKENS[1:], *ENDS), "query", "(tokens, heads, head size) | (7, 8)", error=RuntimeError),
    Wrong(VARLEN, (i(*7 * [[[1]]]), *TOKENS[1:], *ENDS), "query", "Long | .float()", error=NotImplementedError),
    Wrong(VARLEN, (TOKENS[0], TOKENS[1].double(), TOKENS[2], *ENDS), "key", "float64 | key.float()", error=RuntimeError),
    Wrong(VARLEN, (*TOKENS[:2], x(6, 2, 8), *ENDS), "value", "7 keys and 6 values", error=RuntimeError),
    Wrong(VARLEN, (*TOKENS, [0, 3, 7], *ENDS[1:]), "cu_seq_q", "must be Tensor, not list", error=TypeError),
    Wrong(VARLEN, (*TOKENS, x(3), *ENDS[1:]), "cu_seq_q", "int32 or int64 | float32", error=RuntimeError),
    Wrong(VARLEN, (*TOKENS, i(0, 3, 6), *ENDS[1:]), "cu_seq_q", "rise from 0 | 7, got [0, 3, 6]", error=IndexError),
    Wrong(VARLEN, (*TOKENS, ENDS[0], i(0, 8, 7), 4, 8), "cu_seq_k", "rise from 0 | [0, 8, 7]", error=IndexError),
    Wrong(VARLEN, (*TOKENS, ENDS[0], i(0, 7), 4, 7), "cu_seq_k", "2 sequences of queries and 1 of keys", error=RuntimeError),
    Wrong(VARLEN, (*TOKENS, *ENDS[:2], 3, 4), "max_q", "is 3 | 4 tokens", error=RuntimeError),
    Wrong(VARLEN, (*TOKENS, *ENDS), "window_size", "(before, after) | 5", {"window_size": 5}, error=ValueError),
]

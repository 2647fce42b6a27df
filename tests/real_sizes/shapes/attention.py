def _heads(t, length, size, heads, groups=None, keys=None, **options):
    """Of one batch; `groups` heads of keys and values."""
    shared = (1, groups or heads, keys or length, size)
    options = options | ({"enable_gqa": True} if groups else {})
    return (t(1, heads, length, size), t(*shared), t(*shared)), options


SHAPES = {
    "attention": {
        "GPT-2": lambda t: _heads(t, 1024, 64, 4, is_causal=True),
        "BERT": lambda t: _heads(t, 512, 64, 12),
        "ViT-H": lambda t: _heads(t, 257, 80, 16),
        "Llama 3 8B": lambda t: _heads(t, 777, 128, 8, groups=2, is_causal=True),
        "Gemma 2: softcap and window": lambda t: _heads(t, 1030, 256, 2, groups=1, is_causal=True, window=500, softcap=50.0),
        "Mistral: window": lambda t: _heads(t, 2100, 128, 2, is_causal=True, window=1024),
        "Whisper: cross-attention": lambda t: _heads(t, 448, 64, 6, keys=1500),
        "DiT: whole images": lambda t: _heads(t, 4096, 72, 1),
        "one token more": lambda t: _heads(t, 1, 128, 32, groups=8, keys=4096),
    },
}

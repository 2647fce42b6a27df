_NORM = {
    "GPT-2": (2048, 768),
    "GPT-3": (300, 12288),
    "Whisper tiny": (1500, 384),
    "Llama 3 8B": (700, 4096),
    "Gemma 7B": (1000, 3072),
}

SHAPES = {
    "layer_norm": {name: lambda t, n=n, d=d: ((t(n, d), (d,), t(d), t(d)), {}) for name, (n, d) in _NORM.items()}
    | {"ViT over whole images": lambda t: ((t(3, 197, 768), (197, 768), t(197, 768), t(197, 768)), {})},
    "rms_norm": {name: lambda t, n=n, d=d: ((t(n, d), (d,), t(d)), {"eps": 1e-5}) for name, (n, d) in _NORM.items()},
    "add_layer_norm": {name: lambda t, n=n, d=d: ((t(n, d), t(n, d), (d,), t(d), t(d)), {}) for name, (n, d) in _NORM.items()},
}

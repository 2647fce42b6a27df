_MLP = {"GPT-2": (1024, 3072), "GPT-3": (64, 49152), "ViT-H": (514, 5120), "Whisper tiny": (1500, 1536), "BERT": (777, 3072)}

SHAPES = {
    "gelu": {name: lambda t, shape=shape: ((t(*shape),), {}) for name, shape in _MLP.items()},
    "bias_gelu": {name: lambda t, shape=shape: ((t(*shape), t(shape[1])), {}) for name, shape in _MLP.items()},
    "geglu": {
        "T5 v1.1": lambda t: ((t(300, 2 * 5120),), {"approximate": "tanh"}),
        "Gemma 7B": lambda t: ((t(50, 2 * 24576),), {"approximate": "tanh"}),
        "ModernBERT": lambda t: ((t(1024, 2 * 1152),), {}),
        "Stable Diffusion": lambda t: ((t(2, 1024, 2 * 1280),), {}),
        "along dim 1": lambda t: ((t(3, 2 * 768, 577), 1), {}),
    },
}

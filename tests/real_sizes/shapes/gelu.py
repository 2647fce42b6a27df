_MLP = {"GPT-2": (1024, 3072), "GPT-3": (64, 49152), "ViT-H": (514, 5120), "Whisper tiny": (1500, 1536), "BERT": (777, 3072)}

SHAPES = {
    "gelu": {name: lambda t, shape=shape: ((t(*shape),), {}) for name, shape in _MLP.items()},
    "bias_gelu": {name: lambda t, shape=shape: ((t(*shape), t(shape[1])), {}) for name, shape in _MLP.items()},
}

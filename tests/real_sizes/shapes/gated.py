_MLP = {
    "Llama 3 8B": (96, 14336),
    "Llama 110M": (1024, 2048),
    "Qwen2 0.5B": (512, 4864),
    "Mixtral": (33, 14336),
    "odd": (777, 2731),
}
_SELF = {
    "EfficientNet": (8, 96, 112, 112),
    "CLIP": (514, 4096),
    "Primer": (1024, 3072),
    "Llama": (128, 11008),
    "odd": (777, 2731),
}

SHAPES = {
    **{
        name: {model: lambda t, shape=shape: ((t(*shape),), {}) for model, shape in _SELF.items()}
        for name in ("silu", "quick_gelu", "squared_relu")
    },
    "gated": {
        model: lambda t, shape=shape, k=k: ((t(*shape), t(*shape)), {"activation": k})
        for (model, shape), k in zip(_MLP.items(), ("silu", "silu", "gelu_tanh", "relu", "tanh"), strict=True)
    },
    "glu": {
        "Phi-3": lambda t: ((t(64, 2 * 8192), -1, "silu", True), {}),
        "GLM": lambda t: ((t(2, 100, 2 * 13696), -1, "silu", True), {}),
        "Conformer": lambda t: ((t(4, 2 * 512, 700), 1), {}),
        "WaveNet": lambda t: ((t(2, 2 * 64, 16000), 1, "tanh"), {}),
        "ReGLU": lambda t: ((t(300, 2 * 5461), -1, "relu"), {}),
        "long rows": lambda t: ((t(2, 1500001), 0), {}),
    },
    "geglu": {
        "T5 v1.1": lambda t: ((t(300, 2 * 5120),), {"approximate": "tanh"}),
        "Gemma 7B": lambda t: ((t(50, 2 * 24576),), {"approximate": "tanh"}),
        "ModernBERT": lambda t: ((t(1024, 2 * 1152),), {}),
        "Stable Diffusion": lambda t: ((t(2, 1024, 2 * 1280),), {}),
        "along dim 1": lambda t: ((t(3, 2 * 768, 577), 1), {}),
    },
}

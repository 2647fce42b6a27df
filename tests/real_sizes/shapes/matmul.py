SHAPES = {
    "matmul": {
        "GPT-2: scores of 12 heads": lambda t: ((t(12, 1024, 64), t(12, 64, 1024)), {}),
        "GPT-2: values of 12 heads": lambda t: ((t(12, 1024, 1024), t(12, 1024, 64)), {}),
        "Whisper large: cross-attention": lambda t: ((t(20, 448, 64), t(20, 64, 1500)), {}),
        "Llama 3 8B: down": lambda t: ((t(16, 14336), t(14336, 4096)), {}),
        "GPT-3: a quarter of its width": lambda t: ((t(24, 12288), t(12288, 3072)), {}),
        "BERT: decoder": lambda t: ((t(77, 768), t(768, 28996)), {}),
    },
    "linear": {
        "GPT-2: head": lambda t: ((t(64, 768), t(50257, 768), t(50257)), {}),
        "Gemma: vocabulary": lambda t: ((t(40, 128), t(256000, 128)), {}),
        "Llama 3: vocabulary": lambda t: ((t(100, 256), t(128256, 256)), {}),
        "Qwen: vocabulary": lambda t: ((t(50, 192), t(151936, 192), t(151936)), {}),
        "T5: head": lambda t: ((t(130, 512), t(32128, 512)), {}),
        "Whisper tiny: head": lambda t: ((t(48, 384), t(51865, 384)), {}),
        "Llama 2 7B: up": lambda t: ((t(37, 4096), t(11008, 4096)), {}),
        "ViT-H: MLP": lambda t: ((t(257, 1280), t(5120, 1280), t(5120)), {"activation": "relu"}),
        "DLRM: top MLP": lambda t: ((t(2048, 479), t(1024, 479), t(1024)), {"activation": "relu"}),
    },
}

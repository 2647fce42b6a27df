import torch

_STREAM = {"GPT-2": (1024, 768), "BERT": (8, 128, 1024), "Llama 8B": (257, 4096), "ViT-H": (514, 1280), "odd": (777, 2731)}

SHAPES = {
    "dropout": {
        name: lambda t, shape=shape, p=p: ((t(*shape), p), {"residual": t(*shape), "seed": torch.tensor(shape[0])})
        for (name, shape), p in zip(_STREAM.items(), (0.1, 0.1, 0.05, 0.3, 0.5), strict=True)
    }
}

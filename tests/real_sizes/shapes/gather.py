import torch

from scratchnet.ops.op import indices

SHAPES = {
    "gather": {
        "GPT-2: probability of the next token": lambda t: ((t(200, 50257), 1, torch.randint(50257, (200, 1))), {}),
        "Gemma: 40 best tokens": lambda t: ((t(30, 256000), 1, torch.randint(256000, (30, 40))), {}),
        "mixture of experts: tokens": lambda t: ((t(4096, 768), 0, indices(4096, 2048, 768)), {}),
        "DeBERTa: relative positions": lambda t: ((t(12, 384, 512), -1, torch.randint(512, (12, 384, 384))), {}),
        "MAE: patches that are kept": lambda t: ((t(32, 196, 512), 1, torch.randint(196, (32, 49, 512))), {}),
    },
    "embedding": {
        "GPT-2": lambda t: ((indices(50257, 2, 1024), t(50257, 768)), {}),
        "BERT": lambda t: ((indices(28996, 16, 512), t(28996, 768)), {"padding_idx": 0}),
        "Gemma": lambda t: ((indices(256000, 1500), t(256000, 128)), {}),
        "Llama 3": lambda t: ((indices(128256, 3000), t(128256, 256)), {}),
        "DLRM: a table of Criteo": lambda t: ((indices(2_000_003, 4096, 3), t(2_000_003, 16)), {}),
        "GPT-3: positions": lambda t: ((torch.arange(2048), t(2048, 12288)), {}),
    },
}

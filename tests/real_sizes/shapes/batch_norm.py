import torch

SHAPES = {
    "batch_norm": {
        "ResNet: stem": lambda t: ((t(2, 64, 112, 112), None, None, t(64), t(64)), {"training": True}),
        "ResNet: last stage": lambda t: ((t(8, 2048, 7, 7), None, None, t(2048), t(2048)), {"training": True}),
        "ResNet: fine-tuned": lambda t: (
            (t(8, 256, 14, 14), torch.zeros(256, dtype=t(1).dtype), torch.ones(256, dtype=t(1).dtype), t(256), t(256)),
            {"training": False},
        ),
        "Wide & Deep": lambda t: ((t(4096, 429), None, None, t(429), t(429)), {"training": True}),
        "BYOL: projector": lambda t: ((t(256, 4096), None, None, t(4096), t(4096)), {"training": True}),
    },
}

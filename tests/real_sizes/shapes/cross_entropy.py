import math

import torch


def _linear_cross_entropy(t, rows, features, classes, **options):
    weight = (t(classes, features).detach() / math.sqrt(features)).requires_grad_()
    return (t(rows, features), weight, torch.randint(classes, (rows,))), options


def _probabilities(t, rows, classes):
    return torch.rand(rows, classes, dtype=torch.float64).softmax(1).to(t(1).dtype)


def _logits(t, *shape):
    """Logits of an untrained model: all classes are likely enough to show in the 8 bits of a bfloat16."""
    return (t(*shape).detach() / 4).requires_grad_()


_SOFTMAX = {
    "GPT-2: scores of 12 heads": lambda t: ((_logits(t, 12, 512, 1024), -1), {}),
    "GPT-2: vocabulary": lambda t: ((_logits(t, 96, 50257), -1), {}),
    "Gemma: vocabulary": lambda t: ((_logits(t, 24, 256000), -1), {}),
    "BERT: vocabulary along dim 0": lambda t: ((_logits(t, 28996, 131), 0), {}),
    "ViT: 197 patches along dim 1": lambda t: ((_logits(t, 12, 197, 1024), 1), {}),
}

SHAPES = {
    "cross_entropy": {
        "GPT-2": lambda t: ((t(200, 50257), torch.randint(50257, (200,))), {}),
        "Gemma": lambda t: ((t(30, 256000), torch.randint(256000, (30,))), {"reduction": "none"}),
        "Llama 3, distilled": lambda t: ((_logits(t, 30, 128256), _probabilities(t, 30, 128256)), {}),
        "BERT": lambda t: ((t(260, 28996), torch.randint(-1, 28996, (260,))), {"ignore_index": -1}),
        "T5": lambda t: ((_logits(t, 131, 32128), torch.randint(32128, (131,))), {"label_smoothing": 1.0, "reduction": "sum"}),
        "ResNet, ImageNet": lambda t: ((t(1024, 1000), torch.randint(1000, (1024,))), {"label_smoothing": 0.1}),
        "segmentation, ADE20K": lambda t: ((t(2, 150, 128, 128), torch.randint(150, (2, 128, 128))), {}),
    },
    "softmax": _SOFTMAX,
    "log_softmax": _SOFTMAX,
    "logsumexp": _SOFTMAX,
    "linear_cross_entropy": {
        "GPT-2": lambda t: _linear_cross_entropy(t, 180, 192, 50257),
        "BERT": lambda t: _linear_cross_entropy(t, 300, 128, 28996, linear_bias=t(28996), reduction="none"),
        "Gemma": lambda t: _linear_cross_entropy(t, 70, 64, 256000, label_smoothing=0.1),
        "T5": lambda t: _linear_cross_entropy(t, 270, 256, 32128, reduction="sum"),
        "Gemma 2, capped": lambda t: _linear_cross_entropy(t, 70, 32, 256000, softcap=30.0, z_loss=1e-4),
        "Llama 3": lambda t: _linear_cross_entropy(t, 70, 96, 128256, linear_bias=t(128256)),
    },
}

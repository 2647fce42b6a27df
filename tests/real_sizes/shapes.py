"""Shapes of models that people train, for every operator: one line per call, with the model beside it.

Each entry takes `t`, which draws a differentiable tensor of a shape, and returns the arguments of the operator. The widths and
vocabularies are the models'; only a slice of the largest weights is taken along the other axis, so that a float64 judge fits in
3 GiB: it is the odd sizes and the long axes that find what small tests cannot.
"""

import math

import torch

from scratchnet.ops import GATES
from scratchnet.ops.op import indices


def _recurrence(t, mode, steps, batch, inputs, hidden, projected=None):
    """Weights on the scale of a new layer's: the gates are far from saturated."""
    scale, state, gates = 1 / math.sqrt(3 * hidden), projected or hidden, GATES[mode] * hidden
    weight = lambda *shape: (t(*shape).detach() * scale).requires_grad_()
    args = (t(steps, batch, inputs), weight(gates, inputs), weight(gates, state), weight(gates), weight(gates), t(batch, state))
    kwargs = {"mode": mode}
    if mode == "lstm":
        kwargs["c0"] = t(batch, hidden)
    if projected:
        kwargs["weight_hr"] = weight(projected, hidden)
    return args, kwargs


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
_NORM = {
    "GPT-2": (2048, 768),
    "GPT-3": (300, 12288),
    "Whisper tiny": (1500, 384),
    "Llama 3 8B": (700, 4096),
    "Gemma 7B": (1000, 3072),
}
_MLP = {"GPT-2": (1024, 3072), "GPT-3": (64, 49152), "ViT-H": (514, 5120), "Whisper tiny": (1500, 1536), "BERT": (777, 3072)}

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
    "conv2d": {
        "ResNet: stem": lambda t: ((t(2, 3, 224, 224), t(64, 3, 7, 7)), {"stride": 2, "padding": 3}),
        "ResNet: 3x3": lambda t: ((t(3, 64, 56, 56), t(64, 64, 3, 3), t(64)), {"padding": 1}),
        "ResNet: 1x1 of 2,048 channels": lambda t: ((t(4, 2048, 7, 7), t(512, 2048, 1, 1)), {}),
        "ResNet: downsampling": lambda t: ((t(2, 512, 28, 28), t(1024, 512, 1, 1)), {"stride": 2}),
        "ResNeXt: 32 groups": lambda t: ((t(2, 128, 56, 56), t(128, 4, 3, 3)), {"padding": 1, "groups": 32}),
        "ConvNeXt: depthwise 7x7": lambda t: ((t(2, 96, 56, 56), t(96, 1, 7, 7), t(96)), {"padding": 3, "groups": 96}),
        "ConvNeXt-L: last stage": lambda t: ((t(3, 1536, 7, 7), t(1536, 1, 7, 7), t(1536)), {"padding": 3, "groups": 1536}),
        "ViT-B: patches": lambda t: ((t(2, 3, 224, 224), t(768, 3, 16, 16), t(768)), {"stride": 16}),
        "Whisper tiny: second layer": lambda t: (
            (t(1, 384, 1, 1500), t(384, 384, 1, 3), t(384)),
            {"stride": (1, 2), "padding": (0, 1)},
        ),
        "DeepLab: dilation": lambda t: ((t(1, 256, 33, 33), t(256, 256, 3, 3)), {"padding": 12, "dilation": 12}),
    },
    "recurrence": {
        "LSTM language model, medium": lambda t: _recurrence(t, "lstm", 12, 20, 650, 650),
        "LSTM language model, large": lambda t: _recurrence(t, "lstm", 3, 20, 1500, 1500),
        "AWD-LSTM": lambda t: _recurrence(t, "lstm", 5, 80, 400, 1150),
        "Google's LSTM with a projection": lambda t: _recurrence(t, "lstm", 3, 33, 512, 2048, projected=512),
        "GRU sequence to sequence": lambda t: _recurrence(t, "gru", 5, 80, 620, 1000),
        "GRU4Rec": lambda t: _recurrence(t, "gru", 19, 500, 100, 100),
        "Elman network": lambda t: _recurrence(t, "rnn_tanh", 35, 64, 200, 200),
    },
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
        "Llama 3": lambda t: _linear_cross_entropy(t, 70, 96, 128256, linear_bias=t(128256)),
    },
    "layer_norm": {
        name: lambda t, n=n, d=d: ((t(n, d), (d,), t(d), t(d)), {}) for name, (n, d) in _NORM.items()
    } | {"ViT over whole images": lambda t: ((t(3, 197, 768), (197, 768), t(197, 768), t(197, 768)), {})},
    "rms_norm": {name: lambda t, n=n, d=d: ((t(n, d), (d,), t(d)), {"eps": 1e-5}) for name, (n, d) in _NORM.items()},
    "add_layer_norm": {name: lambda t, n=n, d=d: ((t(n, d), t(n, d), (d,), t(d), t(d)), {}) for name, (n, d) in _NORM.items()},
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
    "gelu": {name: lambda t, shape=shape: ((t(*shape),), {}) for name, shape in _MLP.items()},
    "bias_gelu": {name: lambda t, shape=shape: ((t(*shape), t(shape[1])), {}) for name, shape in _MLP.items()},
    "geglu": {
        "T5 v1.1": lambda t: ((t(300, 2 * 5120),), {"approximate": "tanh"}),
        "Gemma 7B": lambda t: ((t(50, 2 * 24576),), {"approximate": "tanh"}),
        "ModernBERT": lambda t: ((t(1024, 2 * 1152),), {}),
        "Stable Diffusion": lambda t: ((t(2, 1024, 2 * 1280),), {}),
        "along dim 1": lambda t: ((t(3, 2 * 768, 577), 1), {}),
    },
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
    "max_pool2d": {
        "ResNet: stem": lambda t: ((t(2, 64, 112, 112), 3, 2, 1), {}),
        "VGG": lambda t: ((t(1, 64, 224, 224), 2), {}),
        "Inception": lambda t: ((t(4, 192, 35, 35), 3, 1, 1), {}),
        "YOLO: pyramid": lambda t: ((t(2, 256, 20, 20), 13, 1, 6), {}),
    },
    "avg_pool2d": {
        "DenseNet": lambda t: ((t(4, 128, 56, 56), 2), {}),
        "Inception": lambda t: ((t(4, 192, 35, 35), 3, 1, 1), {}),
        "ResNet-D": lambda t: ((t(2, 256, 57, 57), 2, 2, 0, True, False), {}),
        "1,500 frames": lambda t: ((t(4, 384, 1, 1500), (1, 2)), {}),
    },
    "adaptive_avg_pool2d": {
        "ResNet": lambda t: ((t(16, 2048, 7, 7), 1), {}),
        "VGG": lambda t: ((t(2, 512, 14, 17), 7), {}),
        "PSPNet": lambda t: ((t(1, 2048, 60, 60), 6), {}),
        "EfficientNet-B7": lambda t: ((t(2, 640, 19, 19), 1), {}),
    },
}  # fmt: skip

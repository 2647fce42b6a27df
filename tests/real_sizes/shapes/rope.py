import torch


def _angles(positions, rotary, interleaved=False):
    """cos and sin (*positions, rotary) in float32, as Hugging Face's rotary embedding gives them."""
    angles = positions[..., None] * 10000.0 ** (torch.arange(0, rotary, 2, dtype=torch.float64) / -rotary)
    angles = angles.repeat_interleave(2, -1) if interleaved else torch.cat((angles, angles), -1)
    return angles.cos().float(), angles.sin().float()


def _model(batch, heads, key_heads, tokens, size, rotary=None, first=0, **options):
    positions = torch.arange(first, first + tokens).expand(1, -1)
    angles = lambda: _angles(positions, rotary or size, options.get("interleaved", False))
    return lambda t: ((t(batch, heads, tokens, size), t(batch, key_heads, tokens, size), *angles()), options)


def _packed(t):
    """Texts that are packed into one row begin again at position 0."""
    ids = torch.cat([torch.arange(n) for n in (700, 1, 323)])[None]
    return (t(1, 32, 1024, 128), t(1, 8, 1024, 128), *_angles(torch.arange(8192), 128), ids), {}


SHAPES = {
    "rope": {
        "Llama 3 8B": _model(1, 32, 8, 2048, 128),
        "Llama 3 8B: packed texts": _packed,
        "Qwen2 0.5B: 32,768 tokens": _model(1, 14, 2, 32768, 64),
        "Llama 3.1: a token at 131,071": _model(16, 32, 8, 1, 128, first=131071),
        "GPT-J": _model(2, 16, 16, 1024, 256, 64, interleaved=True),
        "GPT-NeoX": _model(2, 64, 64, 256, 96, 24),
        "Phi-2": _model(2, 32, 32, 512, 80, 32),
        "DeepSeek V3: one key for all": lambda t: (
            (t(1, 700, 128, 64), t(1, 700, 1, 64), *_angles(torch.arange(700), 64, True)),
            {"unsqueeze_dim": 2, "interleaved": True},
        ),
    }
}

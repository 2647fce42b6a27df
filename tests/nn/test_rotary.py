"""RotaryEmbedding: the angles of a rotary embedding, and an attention that is turned by them."""

import pytest
import torch

import scratchnet
from scratchnet import nn


@pytest.mark.parametrize("interleaved", (False, True))
def test_the_angles_are_those_of_the_paper(interleaved):
    rotary = nn.RotaryEmbedding(6, base=500.0, interleaved=interleaved)
    ids = torch.tensor([[0, 1, 5], [7, 2, 131_071]])
    cos, sin = rotary(ids)
    assert cos.shape == sin.shape == (2, 3, 6) and cos.dtype == sin.dtype == torch.float32
    for j in range(3):
        angle = ids.double() * 500.0 ** (-2 * j / 6)
        for column in (2 * j, 2 * j + 1) if interleaved else (j, j + 3):
            torch.testing.assert_close(cos[..., column], angle.cos().float(), rtol=0, atol=1e-7)
            torch.testing.assert_close(sin[..., column], angle.sin().float(), rtol=0, atol=1e-7)


def test_a_narrow_model_has_the_same_angles():
    """Not those of rounded buffers: there are none."""
    ids = torch.arange(100_000, 100_003)
    wide, narrow = nn.RotaryEmbedding(8), nn.RotaryEmbedding(8).bfloat16()
    assert not [*narrow.buffers(), *narrow.parameters()] and not narrow.state_dict()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(narrow(ids), wide(ids), rtol=0, atol=0)


def test_a_token_has_the_same_angles_alone_as_among_others():
    """What decoding with a cache rests on."""
    rotary = nn.RotaryEmbedding(64)
    together = rotary(torch.arange(50)[None])
    for p in (0, 17, 49):
        torch.testing.assert_close(rotary(torch.tensor([[p]])), tuple(t[:, p : p + 1] for t in together), rtol=0, atol=0)


@pytest.mark.parametrize("interleaved", (False, True))
def test_query_and_key_are_turned_by_them(interleaved):
    """Under torch.compile too; the score of two equal tokens depends on their distance."""
    rotary, x = (
        nn.RotaryEmbedding(16, interleaved=interleaved),
        torch.randn(1, 2, 1, 16, dtype=torch.float64).expand(2, 2, 9, 16),
    )

    def scores(ids):
        q, k = scratchnet.rope(x, x, *rotary(ids), interleaved=interleaved)
        return q @ k.mT

    ids = torch.stack((torch.arange(9), torch.arange(100, 109)))
    s = scores(ids)
    torch.testing.assert_close(s[0], s[1], rtol=0, atol=1e-4)
    torch.testing.assert_close(s.diagonal(3, -2, -1), s[..., :1, 3].expand(2, 2, 6), rtol=0, atol=1e-4)
    torch.testing.assert_close(torch.compile(scores, fullgraph=True, backend="aot_eager")(ids), s)


def test_the_repr_says_how_it_was_made():
    assert repr(nn.RotaryEmbedding(64)) == "RotaryEmbedding(64, base=10000.0)"
    assert repr(nn.RotaryEmbedding(64, 5e5, interleaved=True)) == "RotaryEmbedding(64, base=500000.0, interleaved=True)"

"""Text is drawn from the model's own probabilities."""

import pytest
import torch

from scratchnet import nn
from scratchnet.data import Vocabulary
from scratchnet.training import generate


class Chain(nn.Module):
    """The next id depends only on the last one: a row of a table of probabilities."""

    def __init__(self, table):
        super().__init__()
        self.logits = torch.tensor(table).log()
        self.seen = []

    def forward(self, ids):
        self.seen.append((ids.tolist(), self.training))
        return self.logits[ids[:, -1]]


ABC = Vocabulary("abc")
CYCLE = [[0.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]  # boundary a b c boundary


def test_generate_ends_with_the_text():
    model = Chain(CYCLE)
    assert generate(model, ABC, context=2, length=10) == "abc"
    assert model.seen == [([[0, 0]], False), ([[0, 1]], False), ([[1, 2]], False), ([[2, 3]], False)]
    assert model.training


def test_generate_goes_on_from_a_prompt_up_to_a_length():
    assert generate(Chain(CYCLE), ABC, context=3, length=10, prompt="ab") == "c"
    assert generate(Chain(CYCLE), ABC, context=1, length=2) == "ab"
    assert generate(Chain(CYCLE), ABC, context=1, length=0) == ""


def test_generate_draws_by_probability():
    model = Chain([[0, 0.2, 0.3, 0.5]] * 4)
    text = generate(model, ABC, context=1, length=4000, generator=torch.Generator().manual_seed(0))
    assert len(text) == 4000
    assert [text.count(c) / 4000 for c in "abc"] == pytest.approx([0.2, 0.3, 0.5], abs=0.03)
    assert text == generate(model, ABC, context=1, length=4000, generator=torch.Generator().manual_seed(0))


def test_generate_gives_every_part_its_mode_back():
    model = nn.Sequential(nn.Dropout(0.5), Chain(CYCLE))
    model[0].eval()
    generate(model, ABC, context=1, length=2)
    assert model.training and not model[0].training and model[1].training

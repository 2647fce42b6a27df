"""Text as numbers: a character is an id, and the ids before it are its features."""

from __future__ import annotations

from typing import Iterable

import torch
from torch import Tensor

from scratchnet.data.split import Split

BOUNDARY = 0  # the id before a text begins and after it ends


class Vocabulary:
    """The characters of a text in order, with the ids 1, 2, ...; id 0 is the boundary of a text."""

    def __init__(self, text: str) -> None:
        self.characters = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.characters, 1)}

    def __len__(self) -> int:
        """How many ids there are, the boundary included."""
        return len(self.characters) + 1

    def encode(self, text: str) -> Tensor:
        """The ids of a text, (len(text)) int64; ValueError for a character that the vocabulary does not have."""
        try:
            return torch.tensor([self.ids[character] for character in text], dtype=torch.int64)
        except KeyError as error:
            known = "".join(self.characters)
            raise ValueError(f"Vocabulary.encode: no {error.args[0]!r} among its characters {known!r}") from None

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """The text of ids (N); boundaries vanish. IndexError for an id that the vocabulary does not have."""
        return "".join(self.characters[int(i) - 1] for i in ids if int(i) != BOUNDARY)


def windows(texts: Iterable[str], vocabulary: Vocabulary, context: int) -> Split:
    """Every character of every text, and the end of every text, to be predicted from the `context` ids before it.

    x (N, context) int64, y (N) int64: N is the number of characters plus that of texts. Before a text, every id is BOUNDARY.
    Bengio et al.: A neural probabilistic language model, https://jmlr.org/papers/v3/bengio03a.html.
    """
    before, after = torch.full((context,), BOUNDARY), torch.full((1,), BOUNDARY)
    # Views: no window is copied until a batch is drawn.
    pieces = [torch.cat([before, vocabulary.encode(text), after]).unfold(0, context + 1, 1) for text in texts]
    rows = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
    return Split(rows[:, :-1], rows[:, -1])

"""Exercise 22: lookup as a product, padding, and the gradient of the table.

Each `...` is a blank for you to fill in. Then: scratchnet check 22
"""

import torch


def embed_by_product(ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """The rows of table (V, D) at ids (B, S), as a matrix product: (B, S, D)."""
    one_hot = torch.zeros(*ids.shape, len(table))  # (B, S, V): a 1 is missing in each row; scatter_ can write it
    ...
    return one_hot @ table


def pad(sentences: list[list[int]], padding: int = 0) -> torch.Tensor:
    """Sentences of ids as one int64 tensor (B, S), S as long as the longest, filled up with `padding` at the end."""
    ids = ...
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = ...
    return ids


def mean_vector(ids: torch.Tensor, table: torch.Tensor, padding: int) -> torch.Tensor:
    """The mean of the word rows of each sentence, without padding: ids (B, S), table (V, D) -> (B, D)."""
    return ...


def table_gradient(ids: torch.Tensor, g: torch.Tensor, size: int, padding: int) -> torch.Tensor:
    """The gradient of the table (size, D) from that of its rows: ids (B, S), g (B, S, D). The padding row gets none."""
    ...

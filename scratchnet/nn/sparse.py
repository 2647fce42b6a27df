"""Embedding and EmbeddingBag: a table of vectors looked up by integer, one by one or as sums, means and maxima of bags."""

from __future__ import annotations

import torch.nn
from torch import Tensor
from torch.nn import Module, Parameter, init

from scratchnet.functions.checks import fail
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class Embedding(Called, torch.nn.Embedding):
    """y = weight[input]: integer input (...) -> y (..., embedding_dim); weight (num_embeddings, embedding_dim) from N(0, 1).

    The row `padding_idx` starts as zeros and gets no gradient; `max_norm` shrinks the rows that are looked up, in place.
    AssertionError for a padding_idx or a table that does not fit, IndexError for an index without a row.
    Dtypes and errors as in nn.functional.embedding.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = _row("Embedding", padding_idx, num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            weight = torch.empty((num_embeddings, embedding_dim), device=device, dtype=dtype)
            self.weight = Parameter(weight, requires_grad=not _freeze)
            self.reset_parameters()
        else:
            _check_table("Embedding", _weight, num_embeddings, embedding_dim)
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table from N(0, 1), then zero the padding row."""
        _draw(self)

    def forward(self, input: Tensor) -> Tensor:
        own = self._parameters  # quicker than self.weight: see Linear
        weight = own["weight"] if "weight" in own else self.weight
        return F.embedding(input, weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """An Embedding over the given table (num_embeddings, embedding_dim), shared, not copied; frozen by default."""
        _check_matrix("Embedding.from_pretrained", embeddings)
        return cls(
            *embeddings.shape,
            _weight=embeddings,
            _freeze=freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )


class EmbeddingBag(Called, torch.nn.EmbeddingBag):
    """y[b] = the sum, mean or max of weight[i] over the i in bag b: (B, embedding_dim); weight from N(0, 1).

    input (B, N), a bag in each row, or (N,) with offsets (B,), where each bag begins. The row `padding_idx` starts as zeros and
    counts as absent; `max_norm` shrinks the rows that are looked up, in place.
    AssertionError for a padding_idx or a table that does not fit. Dtypes and errors as in nn.functional.embedding_bag.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.padding_idx = _row("EmbeddingBag", padding_idx, num_embeddings)
        if _weight is None:
            self.weight = Parameter(torch.empty((num_embeddings, embedding_dim), device=device, dtype=dtype))
            self.reset_parameters()
        else:
            _check_table("EmbeddingBag", _weight, num_embeddings, embedding_dim)
            self.weight = Parameter(_weight)
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset

    def reset_parameters(self) -> None:
        """Draw the table from N(0, 1), then zero the padding row."""
        _draw(self)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        own = self._parameters  # quicker than self.weight: see Linear
        return F.embedding_bag(
            input,
            own["weight"] if "weight" in own else self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """An EmbeddingBag over the given table (num_embeddings, embedding_dim), shared, not copied; frozen by default."""
        _check_matrix("EmbeddingBag.from_pretrained", embeddings)
        bag = cls(
            *embeddings.shape,
            _weight=embeddings,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
        bag.weight.requires_grad = not freeze
        return bag


def _row(name: str, padding_idx: int | None, rows: int) -> int | None:
    """padding_idx, counted from the first row."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows and (padding_idx or name == "Embedding"):  # torch's bag takes 0 for an empty table
        needs = f"Padding_idx must be within num_embeddings, from {-rows} to {rows - 1}"
        fail(AssertionError, name, "padding_idx", f"{needs}, got {padding_idx}")
    return padding_idx % rows if rows else padding_idx


def _check_table(name: str, weight: Tensor, rows: int, columns: int) -> None:
    if tuple(weight.shape) != (rows, columns):
        shapes = f"got {tuple(weight.shape)}, needs {(rows, columns)}"
        fail(AssertionError, name, "_weight", f"Shape of weight does not match num_embeddings and embedding_dim: {shapes}")


def _check_matrix(name: str, embeddings: Tensor) -> None:
    if embeddings.dim() != 2:
        needs = f"Embeddings parameter is expected to be 2-dimensional, got {tuple(embeddings.shape)}"
        fail(AssertionError, name, "embeddings", needs)


def _draw(layer: Embedding | EmbeddingBag) -> None:
    init.normal_(layer.weight)
    if layer.padding_idx is not None:
        with torch.no_grad():
            layer.weight[layer.padding_idx].fill_(0)

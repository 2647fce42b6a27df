"""Embedding: a table of vectors looked up by integer."""

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
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                needs = f"Padding_idx must be within num_embeddings, from {-num_embeddings} to {num_embeddings - 1}"
                fail(AssertionError, "Embedding", "padding_idx", f"{needs}, got {padding_idx}")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            weight = torch.empty((num_embeddings, embedding_dim), device=device, dtype=dtype)
            self.weight = Parameter(weight, requires_grad=not _freeze)
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                shapes = f"got {tuple(_weight.shape)}, needs {(num_embeddings, embedding_dim)}"
                problem = f"Shape of weight does not match num_embeddings and embedding_dim: {shapes}"
                fail(AssertionError, "Embedding", "_weight", problem)
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table from N(0, 1), then zero the padding row."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

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
        if embeddings.dim() != 2:
            needs = f"Embeddings parameter is expected to be 2-dimensional, got {tuple(embeddings.shape)}"
            fail(AssertionError, "Embedding.from_pretrained", "embeddings", needs)
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

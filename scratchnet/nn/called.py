"""What makes `Linear(3, 4)(x)` a Tensor for a type checker."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R", covariant=True)

if TYPE_CHECKING:

    class _HasForward(Protocol[_P, _R]):
        def forward(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...

    class Called:
        """First base of a layer: a call takes what its `forward` takes and returns what `forward` returns.

        torch.nn.Module says only that a call takes anything and returns anything.
        """

        def __call__(self: _HasForward[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R: ...

else:

    class _Nothing:
        def __mro_entries__(self, bases):  # at run time a class has only its other bases
            return ()

    Called = _Nothing()

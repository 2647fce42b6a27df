"""Wrong calls as a table: the function, what it is called with, the argument to blame and the words that help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np
import torch
from torch import Tensor


@dataclass
class Wrong:
    """A call that must raise: for torch's functions the exception of torch's type, with a better message."""

    function: str  # "gather", "nn.functional.linear", "nn.LayerNorm", ...: a name below both torch and scratchnet
    args: tuple
    argument: str  # the one to blame
    words: str  # all of them, separated by " | ", stand in the message: what came, what is needed, the likely fix
    kwargs: dict[str, Any] = field(default_factory=dict)
    made_with: tuple | None = None  # for layers: the arguments of the constructor; args go to the call of the layer
    blames: str = ""  # the function that the message names, if it is another one
    error: type[Exception] | None = None  # where torch has no say: it lacks the function or option, or takes the call

    @property
    def start(self) -> str:
        """How the message begins."""
        return f"{self.blames or self.function.rpartition('.')[2]}(): argument '{self.argument}'"

    def __call__(self, library: object, inputs: tuple[tuple, dict]) -> Any:
        function = resolve(library, self.function)
        if self.made_with is not None:
            function = function(*self.made_with)
        args, kwargs = inputs
        return function(*args, **kwargs)


def resolve(library: object, name: str) -> Callable | None:
    """library.nn.functional.linear for "nn.functional.linear"; None if there is no such name."""
    for part in name.split("."):
        library = getattr(library, part, None)
    return library


def x(*shape: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    """Different numbers, none of them zero."""
    return torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float32).div(8).reshape(shape).to(dtype).to(device)


def i(*entries: Any, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor(entries, dtype=dtype)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor on another device than the CPU, on every machine."""
    return torch.empty(shape, dtype=dtype, device="meta")


F64, F16, BF16, C64, I64, I32, BOOL = (
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.complex64,
    torch.int64,
    torch.int32,
    torch.bool,
)

MATMUL = [
    Wrong("matmul", (x(4, 3), x(4, 3)), "other", "cannot be multiplied (4x3 and 4x3) | 3 columns | 4 rows | other.mT"),
    Wrong("matmul", (x(3), x(4)), "other", "(3,) | (4,)"),
    Wrong("matmul", (x(3), x(4, 2)), "other", "(1x3 and 4x2)"),
    Wrong("matmul", (x(2, 3), x(4)), "other", "(2, 3) | (4,)"),
    Wrong("matmul", (x(), x(2, 2)), "input", "at least 1D | scalar with *"),
    Wrong("matmul", (x(2, 2), x()), "other", "at least 1D | scalar with *"),
    Wrong("matmul", (x(2, 4, 3), x(3, 3, 5)), "other", "(2) must match | (3) at non-singleton dimension 0 | broadcast"),
    Wrong("matmul", (x(2, 4, 3), x(2, 4, 5)), "other", "[2, 3] | [2, 4] | 3 columns | 4 rows"),
    Wrong("matmul", (x(2, 3, dtype=F64), x(3, 4)), "input", "same dtype | torch.float64 | torch.float32 | input.float()"),
    Wrong("matmul", (x(2, 3, dtype=I64), x(3, 4)), "input", "same dtype | torch.int64 | input.to(other.dtype)"),
    Wrong("matmul", (x(2, 3), x(3, 4, dtype=I64)), "other", "same dtype | torch.int64 | other.to(input.dtype)"),
    Wrong("matmul", (x(2, 3, dtype=C64), x(3, 4)), "input", "same dtype | torch.complex64"),
    Wrong("matmul", (x(2, 3), x(3, 4).tolist()), "other", "must be Tensor, not list | torch.as_tensor"),
    Wrong("matmul", (np.ones((2, 3)), x(3, 4)), "input", "must be Tensor, not ndarray | torch.as_tensor"),
    Wrong("matmul", (x(2, 3), None), "other", "must be Tensor, not NoneType"),
    Wrong("matmul", (x(2, 3), meta(3, 4)), "other", "same device | meta | cpu | other.to(", error=RuntimeError),
    Wrong("mm", (x(3), x(3, 2)), "input", "must be a matrix | (3,) | scratchnet.matmul"),
    Wrong("mm", (x(2, 3), x(3)), "mat2", "must be a matrix | (3,) | scratchnet.matmul"),
    Wrong("mm", (x(2, 3), x(2, 3)), "mat2", "shapes cannot be multiplied (2x3 and 2x3) | mat2.mT"),
    Wrong("mm", (x(2, 3, dtype=BF16), x(3, 2)), "input", "same dtype | torch.bfloat16 | torch.float32"),
    Wrong("mm", (x(2, 3, dtype=BOOL), x(3, 2, dtype=BOOL)), "input", "Bool"),
    Wrong("bmm", (x(2, 3), x(2, 3, 4)), "input", "must be a 3D tensor | (2, 3) | scratchnet.matmul"),
    Wrong("bmm", (x(2, 4, 3), x(3, 4)), "mat2", "must be a 3D tensor | (3, 4) | scratchnet.matmul"),
    Wrong("bmm", (x(2, 4, 3), x(5, 3, 2)), "mat2", "first two dimensions | [2, 3] | [5, 3]"),
    Wrong("bmm", (x(2, 4, 3), x(1, 3, 2)), "mat2", "scratchnet.matmul broadcasts"),
    Wrong("bmm", (x(2, 4, 3), x(2, 2, 3)), "mat2", "[2, 3] | [2, 2]"),
    Wrong(
        "nn.functional.linear",
        (x(2, 5), x(4, 3)),
        "input",
        "shapes cannot be multiplied (2x5 and 3x4) | in_features = 3 | last axis is 5",
    ),
    Wrong("nn.functional.linear", (x(2, 4), x(4, 3)), "input", "(4, 3) = (out_features, in_features) | weight.T"),
    Wrong("nn.functional.linear", (x(2, 3), x(4, 3), x(3)), "bias", "(4,) | (3,)"),
    Wrong("nn.functional.linear", (x(2, 3), x(4, 3), x(2, 4)), "bias", "(4,) | (2, 4)", error=RuntimeError),
    Wrong("nn.functional.linear", (x(), x(4, 3)), "input", "at least 1D"),
    Wrong("nn.functional.linear", (x(2, 3), x()), "weight", "at least 1D"),
    Wrong("nn.functional.linear", (x(2, 3), x(2, 4, 3)), "weight", "(out, in) | (2, 4, 3) | scratchnet.matmul"),
    Wrong("nn.functional.linear", (x(2, 3, dtype=F64), x(4, 3)), "input", "torch.float64 | torch.float32 | input.float()"),
    Wrong("nn.functional.linear", (x(2, 3, dtype=I64), x(4, 3)), "input", "torch.int64 | input.to(weight.dtype)"),
    Wrong("nn.functional.linear", (x(2, 3), x(4, 3), x(4, dtype=F64)), "bias", "torch.float64 | bias.float()"),
    Wrong("nn.functional.linear", (x(2, 3), x(4, 3), x(4, dtype=I64)), "bias", "torch.int64 | bias.to(input.dtype)"),
    Wrong("nn.functional.linear", (x(2, 3), x(4, 3), x(4, dtype=BOOL)), "bias", "torch.bool | bias.to(input.dtype)"),
    Wrong("nn.functional.linear", (x(2, 3), x(4, 3, dtype=C64)), "weight", "torch.complex64"),
    Wrong("nn.functional.linear", (x(2, 3).tolist(), x(4, 3)), "input", "must be Tensor, not list"),
    Wrong("nn.functional.linear", (x(2, 3), None), "weight", "must be Tensor, not NoneType"),
    Wrong("nn.functional.linear", (x(2, 3), meta(4, 3)), "weight", "same device | meta | cpu", error=RuntimeError),
    Wrong("nn.functional.linear", (x(2, 3), x(4, 3), meta(4)), "bias", "same device | meta | cpu"),
    Wrong(
        "nn.functional.linear",
        (x(2, 3), x(4, 3)),
        "activation",
        "'gelu_tanh' | 'swish'",
        {"activation": "swish"},
        error=ValueError,
    ),
    Wrong("nn.Linear", (x(2, 5),), "input", "in_features = 3 | last axis is 5", made_with=(3, 4), blames="linear"),
    Wrong("nn.Linear", (i([1, 2, 3]),), "input", "torch.int64", made_with=(3, 4), blames="linear"),
]

SOFTMAX = [
    *(
        row
        for name in ("softmax", "log_softmax", "logsumexp")
        for row in (
            Wrong(name, (x(2, 3), 2), "dim", "range of [-2, 1], but got 2"),
            Wrong(name, (x(2, 3), -3), "dim", "range of [-2, 1], but got -3"),
            Wrong(name, (x(), 1), "dim", "range of [-1, 0], but got 1"),
            Wrong(name, (x(2, 3), "rows"), "dim", "must be int | not str"),
            Wrong(name, ([[1.0, 2.0]], 1), "input", "must be Tensor, not list"),
        )
    ),
    Wrong("softmax", (x(2, 3, dtype=I64), 1), "input", "Long | dtype=torch.float32"),
    Wrong("softmax", (x(2, 3, dtype=BOOL), 1), "input", "Bool | dtype=torch.float32"),
    Wrong("log_softmax", (x(2, 3, dtype=C64), 1), "input", "ComplexFloat"),
    Wrong("log_softmax", (x(2, 3), 1), "dtype", "Int", {"dtype": I32}),
    Wrong("nn.functional.softmax", (x(2, 3), 1), "dtype", "Long", {"dtype": I64}),
    Wrong("nn.functional.softmax", (x(2, 3), 5), "dim", "range of [-2, 1], but got 5"),
    Wrong("nn.functional.softmax", ([[1.0, 2.0]],), "input", "must be Tensor, not list", error=TypeError),
    Wrong("nn.functional.log_softmax", (x(2, 3), -3), "dim", "range of [-2, 1], but got -3"),
    Wrong("nn.functional.log_softmax", (x(2, 3, dtype=I64), 1), "input", "Long | dtype=torch.float32"),
    Wrong("logsumexp", (x(2, 3), (1, -1)), "dim", "dim 1 appears multiple times"),
    Wrong("nn.Softmax", (x(2, 3),), "dim", "range of [-2, 1], but got 2", made_with=(2,), blames="softmax"),
]

F_CE, F_LCE = "nn.functional.cross_entropy", "nn.functional.linear_cross_entropy"
CROSS_ENTROPY = [
    Wrong(F_CE, (x(4, 3), i(0, 1, 3, 2)), "target", "Target 3 is out of bounds | (2,) | 3 classes"),
    Wrong(F_CE, (x(4, 3), i(0, -1, 2, 2)), "target", "Target -1 is out of bounds | (1,) | 0 to 2 | ignore_index=-100"),
    Wrong(F_CE, (x(4, 3), i(0, -100, 2, 2)), "target", "Target -100 is out of bounds | ignore_index=0", {"ignore_index": 0}),
    Wrong(F_CE, (x(2, 3, 2), i([0, 1], [2, 9])), "target", "Target 9 is out of bounds | (1, 1)"),
    Wrong(F_CE, (x(3), i(5)[0]), "target", "Target 5 is out of bounds"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2)), "target", "batch_size (4) to match target batch_size (3)"),
    Wrong(F_CE, (x(4, 3), i([0], [1], [2], [0])), "target", "multi-target not supported | target.squeeze(1)"),
    Wrong(F_CE, (x(3), i([0])), "target", "multi-target not supported | (3,) | (1, 1)"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0)), "ignore_index", "must be int, not float", {"ignore_index": 0.5}),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0)), "ignore_index", "must be int, not bool", {"ignore_index": True}),
    Wrong(F_CE, (x(4, 3), i([0, 1, 2], [1, 1, 1], [2, 1, 0], [0, 0, 0])), "target", "probabilities | Long | argmax(1)"),
    Wrong(F_CE, (x(4, 3), x(4)), "target", "Long or Byte, but got Float | .long()"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0, dtype=I32)), "target", "Long or Byte, but got Int | .long()"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 0, 1, dtype=BOOL)), "target", "Long or Byte, but got Bool | .long()"),
    Wrong(F_CE, (x(4, 3), x(4, 2)), "target", "Float | (4, 3)"),
    Wrong(F_CE, (x(4, 3), [0, 1, 2, 0]), "target", "must be Tensor, not list"),
    Wrong(F_CE, (x(4, 3), None), "target", "must be Tensor, not NoneType"),
    Wrong(F_CE, (x(4, 3).numpy(), i(0, 1, 2, 0)), "input", "must be Tensor, not ndarray"),
    Wrong(F_CE, (x(4, 3, dtype=I64), i(0, 1, 2, 0)), "input", "Long | .float()"),
    Wrong(F_CE, (x(4, 3, dtype=C64), i(0, 1, 2, 0)), "input", "ComplexFloat"),
    Wrong(F_CE, (x(), i(0)), "input", "needs (C,) or (N, C)"),
    Wrong(F_CE, (x(3), i(0, 1)), "target", "size: 2"),
    Wrong(F_CE, (x(2, 3, 4), i([0, 1, 2], [0, 1, 2])), "target", "[2, 4] | [2, 3]"),
    Wrong(F_CE, (x(2, 3, 4, 5), i([0, 1, 2], [0, 1, 2])), "target", "[2, 4, 5] | [2, 3]"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0), x(2)), "weight", "all 3 classes | [2]"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0), x(3, 1)), "weight", "all 3 classes | [3, 1]"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0), x(3, dtype=F64)), "weight", "Float but found Double | weight.to(input.dtype)"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0), i(1, 1, 1)), "weight", "Float but found Long | weight.to(input.dtype)"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0), x(3, dtype=C64)), "weight", "Float but found ComplexFloat"),
    Wrong(F_CE, (x(4, 3), x(4, 3), x(3, dtype=C64)), "weight", "ComplexFloat | real numbers", error=NotImplementedError),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0), [1.0, 1.0, 1.0]), "weight", "must be Tensor, not list"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0)), "reduction", "avg | none, mean, sum", {"reduction": "avg"}),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0)), "label_smoothing", "0.0 and 1.0 | 1.5", {"label_smoothing": 1.5}),
    Wrong(
        F_CE, (x(4, 3), i(0, 1, 2, 0)), "label_smoothing", "0.0 and 1.0 | -0.5", {"label_smoothing": -0.5}, error=RuntimeError
    ),
    Wrong(F_CE, (x(4, 3), x(4, 3)), "ignore_index", "floating point target", {"ignore_index": 1}),
    Wrong(F_CE, (x(4, 3), meta(4, dtype=I64)), "target", "meta | cpu"),
    Wrong(F_CE, (x(4, 3), i(0, 1, 2, 0), meta(3)), "weight", "meta | cpu"),
    Wrong(
        "nn.CrossEntropyLoss",
        (x(4, 3), i(0, 1, 7, 2)),
        "target",
        "Target 7 is out of bounds",
        made_with=(),
        blames="cross_entropy",
    ),
    Wrong(F_LCE, (x(4, 5), x(3, 5), i(0, 1, 3, 2)), "target", "Target 3 is out of bounds | (2,)"),
    Wrong(F_LCE, (x(4, 5), x(3, 5), i(0, 1, -7, 2)), "target", "Target -7 is out of bounds | (2,)"),
    Wrong(F_LCE, (x(4, 5), x(3, 4), i(0, 1, 2, 2)), "linear_weight", "5 and 4"),
    Wrong(F_LCE, (x(4, 5), x(5), i(0, 1, 2, 2)), "linear_weight", "at least 2, got 1"),
    Wrong(F_LCE, (x(2, 4, 5), x(3, 5), i(0, 1)), "input", "1 or 2, got 3"),
    Wrong(F_LCE, (x(4, 5), x(3, 5), i(0, 1)), "target", "batch_size (4) | (2)"),
    Wrong(F_LCE, (x(4, 5), x(3, 5), i(0, 1, 2, 2)), "linear_bias", "(3,) | (4,)", {"linear_bias": x(4)}),
    Wrong(F_LCE, (x(4, 5, dtype=I64), x(3, 5), i(0, 1, 2, 2)), "input", "Long | .float()"),
    Wrong(F_LCE, (x(4, 5, dtype=F64), x(3, 5), i(0, 1, 2, 2)), "input", "torch.float64 | torch.float32 | input.float()"),
    Wrong(
        F_LCE,
        (x(4, 5), x(3, 5), i(0, 1, 2, 2)),
        "linear_bias",
        "torch.float64 | torch.float32",
        {"linear_bias": x(3, dtype=F64)},
    ),
    Wrong(F_LCE, (x(4, 5), x(3, 5), i([0], [1], [2], [2])), "target", "multi-target not supported | target.squeeze(1)"),
    Wrong(F_LCE, (x(4, 5), x(3, 5), x(4)), "target", "Long or Byte, but got Float | .long()"),
    Wrong(F_LCE, (x(4, 5), x(3, 5), i(0, 1, 2, 2)), "reduction", "avg | none, mean, sum", {"reduction": "avg"}),
    Wrong(F_LCE, (x(4, 5), x(3, 5), i(0, 1, 2, 2)), "label_smoothing", "1.5", {"label_smoothing": 1.5}),
    Wrong(F_LCE, (x(4, 5), x(3, 5), x(4, 3)), "ignore_index", "probabilities", {"ignore_index": 1}),
    Wrong(F_LCE, (x(4, 5), meta(3, 5), i(0, 1, 2, 2)), "linear_weight", "meta | cpu", error=RuntimeError),
    Wrong(F_LCE, (x(4, 5), x(3, 5), [0, 1, 2, 2]), "target", "must be Tensor, not list", error=TypeError),
]

F_CONV1, F_CONV2 = "nn.functional.conv1d", "nn.functional.conv2d"
image, filters = x(1, 2, 5, 5), x(3, 2, 3, 3)
sequence, filters1 = x(1, 2, 5), x(3, 2, 3)
CONVOLUTION = [
    Wrong(F_CONV2, ([[1.0]], filters), "input", "must be Tensor, not list | torch.as_tensor"),
    Wrong(F_CONV2, (image, None), "weight", "must be Tensor, not NoneType"),
    Wrong(F_CONV2, (image, filters, [1.0, 2.0, 3.0]), "bias", "must be Tensor, not list"),
    Wrong(F_CONV2, (x(1, 4, 5, 5), filters), "input", "input[1, 4, 5, 5] to have 2 channels, but got 4 | before height"),
    Wrong(F_CONV2, (x(1, 5, 5, 2), filters), "input", "to have 2 channels, but got 5 | come last | input.movedim(-1, -3)"),
    Wrong(F_CONV2, (x(5, 5), filters), "input", "3D (unbatched) or 4D (batched) | [5, 5] | (N, C, height, width)"),
    Wrong(F_CONV2, (x(1, 1, 2, 5, 5), filters), "input", "3D (unbatched) or 4D (batched) | [1, 1, 2, 5, 5]"),
    Wrong(F_CONV2, (image, x(3, 2, 3)), "weight", "3-dimensional weight [3, 2, 3] | 4 axes"),
    Wrong(F_CONV2, (image, x(3)), "weight", "at least three dimensions | (3,)"),
    Wrong(F_CONV2, (image, x(0, 2, 3, 3)), "weight", "at least 1 at dimension 0 | [0, 2, 3, 3]"),
    Wrong(F_CONV2, (image, x(3, 2, 0, 3)), "weight", "kernel size should be greater than zero | (0, 3)"),
    Wrong(F_CONV2, (x(1, 2, 2, 5), filters), "input", "(2 x 5) | (3 x 3) | can't be greater than actual input size | pad more"),
    Wrong(F_CONV2, (x(1, 2, 4, 4), filters), "input", "(4 x 4) | (5 x 5)", {"dilation": 2}),
    Wrong(F_CONV2, (x(1, 2, 0, 5), filters), "input", "Only zero batch | [1, 2, 0, 5]", {"padding": 3}),
    Wrong(F_CONV2, (image, filters, x(4)), "bias", "1-dimensional with 3 elements | [4]"),
    Wrong(F_CONV2, (image, filters, x(3, 1)), "bias", "1-dimensional with 3 elements | [3, 1]"),
    Wrong(F_CONV2, (image.double(), filters), "weight", "should be the same | torch.float64 | weight.to(input.dtype)"),
    Wrong(F_CONV2, (image.long(), filters), "weight", "should be the same | torch.int64 | torch.float32"),
    Wrong(F_CONV2, (image, filters, x(3, dtype=F64)), "bias", "should be the same | torch.float64 | bias.to(input.dtype)"),
    Wrong(F_CONV2, (image, filters, x(3, dtype=I64)), "bias", "should be the same | torch.int64 | bias.to(input.dtype)"),
    Wrong(F_CONV2, (image, filters.to(C64)), "weight", "should be the same | torch.complex64 | torch.float32"),
    Wrong(F_CONV2, (image.bool(), filters.bool()), "input", "Bool | .float()"),
    Wrong(F_CONV2, (image, meta(3, 2, 3, 3)), "weight", "same device | meta | cpu", error=RuntimeError),
    Wrong(F_CONV2, (image, filters), "stride", "non-positive stride is not supported | [0, 0]", {"stride": 0}),
    Wrong(F_CONV2, (image, filters), "stride", "a list of 2 values | stride=[1, 1, 1]", {"stride": (1, 1, 1)}),
    Wrong(F_CONV2, (image, filters), "stride", "a list of 2 values | stride=[]", {"stride": ()}),
    Wrong(F_CONV2, (image, filters), "stride", "must be int or tuple of ints, not 1.0", {"stride": 1.0}),
    Wrong(F_CONV2, (image, filters), "stride", "must be int or tuple of ints, not '2'", {"stride": "2"}),
    Wrong(F_CONV2, (image, filters), "dilation", "must be int or tuple of ints, not (1.5, 1)", {"dilation": (1.5, 1)}),
    Wrong(F_CONV2, (image, filters), "dilation", "greater than zero, but got [0, 0]", {"dilation": 0}),
    Wrong(F_CONV2, (image, filters), "padding", "negative padding is not supported | [-1, -1]", {"padding": -1}),
    Wrong(F_CONV2, (image, filters), "padding", "must be int or tuple of ints, not None", {"padding": None}),
    Wrong(F_CONV2, (image, filters), "padding", "Invalid padding string: 'full' | 'same', 'valid'", {"padding": "full"}),
    Wrong(F_CONV2, (image, filters), "padding", "not supported for strided | kernel_size", {"padding": "same", "stride": 2}),
    Wrong(F_CONV2, (image, filters), "groups", "non-positive groups is not supported | 0", {"groups": 0}),
    Wrong(F_CONV2, (image, filters), "groups", "must be int, not float", {"groups": 1.0}),
    Wrong(F_CONV2, (x(1, 4, 5, 5), filters), "weight", "divisible by 2 at dimension 0 | [3, 2, 3, 3]", {"groups": 2}),
    Wrong(F_CONV1, (x(1, 4, 5), filters1), "input", "expected input[1, 4, 5] to have 2 channels, but got 4 | before length"),
    Wrong(F_CONV1, (x(1, 5, 2), filters1), "input", "but got 5 | input.movedim(-1, -2)"),
    Wrong(F_CONV1, (x(5), filters1), "input", "2D (unbatched) or 3D (batched) input to conv1d | [5]"),
    Wrong(F_CONV1, (sequence, x(3, 2)), "weight", "at least three dimensions | (3, 2)"),
    Wrong(F_CONV1, (sequence, filters), "weight", "4-dimensional weight | 3 axes"),
    Wrong(F_CONV1, (x(1, 2, 2), filters1), "input", "(2) | (3) | can't be greater than actual input size"),
    Wrong(F_CONV1, (sequence, filters1), "stride", "a list of 1 values | stride=[1, 1]", {"stride": (1, 1)}),
    Wrong(F_CONV1, ([1.0], filters1), "input", "must be Tensor, not list"),
    Wrong("nn.Conv2d", (x(1, 3, 8, 8),), "input", "to have 2 channels, but got 3", made_with=(2, 4, 3), blames="conv2d"),
    Wrong("nn.Conv2d", (4, 6, 3), "in_channels", "divisible by groups | 4 and 3", {"groups": 3}),
    Wrong("nn.Conv1d", (4, 6, 3), "padding_mode", "'reflect' | 'mirror'", {"padding_mode": "mirror"}),
]

F_LN, F_RMS, F_ADD = "nn.functional.layer_norm", "nn.functional.rms_norm", "nn.functional.add_layer_norm"
LAYER_NORM = [
    Wrong(F_LN, (x(2, 4), (5,)), "input", "normalized_shape=[5] | [*, 5] | [2, 4]"),
    Wrong(F_LN, (x(4), (2, 4)), "input", "normalized_shape=[2, 4] | [4]"),
    Wrong(F_LN, (x(2, 4), ()), "normalized_shape", "at least 1-dimensional"),
    Wrong(F_LN, (x(2, 4), 4), "normalized_shape", "tuple of ints, not int | (4,)"),
    Wrong(F_LN, (x(2, 4), (4.0,)), "normalized_shape", "float"),
    Wrong(F_LN, (x(2, 4), (4,), x(2)), "weight", "normalized_shape = [4] | [2]"),
    Wrong(F_LN, (x(2, 4), (4,), x(4), x(1, 4)), "bias", "normalized_shape = [4] | [1, 4]"),
    Wrong(F_LN, (x(2, 4, dtype=I64), (4,)), "input", "Long | .float()"),
    Wrong(F_LN, (x(2, 4, dtype=C64), (4,)), "input", "ComplexFloat"),
    Wrong(F_LN, (x(2, 4, dtype=F64), (4,), x(4), x(4)), "weight", "mixed dtype | torch.float64 | torch.float32"),
    Wrong(F_LN, (x(2, 4), (4,), x(4, dtype=BF16)), "weight", "mixed dtype | torch.bfloat16 | torch.float32"),
    Wrong(F_LN, (x(2, 4), (4,), x(4), x(4, dtype=F64)), "bias", "mixed dtype | torch.float64 | torch.float32"),
    Wrong(F_LN, (x(2, 4), (4,), x(4, dtype=I64)), "weight", "mixed dtype | torch.int64 | torch.float32"),
    Wrong(F_LN, (x(2, 4), (4,), x(4), x(4, dtype=BOOL)), "bias", "mixed dtype | torch.bool | torch.float32"),
    Wrong(F_LN, (x(2, 4), (4,), x(4, dtype=C64)), "weight", "mixed dtype | torch.complex64 | torch.float32"),
    Wrong(F_LN, (x(2, 4), (4,), meta(4)), "weight", "meta | cpu | weight.to(input.device)"),
    Wrong(F_LN, (x(2, 4).tolist(), (4,)), "input", "must be Tensor, not list"),
    Wrong(F_LN, (x(2, 4), (4,), [1.0] * 4), "weight", "must be Tensor, not list"),
    Wrong(F_LN, (x(2, 4), (4,)), "eps", "must be float, not str", {"eps": "1e-5"}),
    Wrong("nn.LayerNorm", (x(2, 4, dtype=F64),), "weight", "mixed dtype | torch.float64", made_with=(4,), blames="layer_norm"),
    Wrong("nn.LayerNorm", (x(2, 3, 5),), "input", "[*, 3] | [2, 3, 5]", made_with=(3,), blames="layer_norm"),
    Wrong(F_RMS, (x(2, 4), (2,)), "input", "normalized_shape=[2] | [2, 4]"),
    Wrong(F_RMS, (x(4), (2, 4)), "input", "normalized_shape=[2, 4] | [4]"),
    Wrong(F_RMS, (x(4), (2, 4), x(4)), "weight", "normalized_shape = [2, 4] | [4]"),
    Wrong(F_RMS, (x(2, 4), (4,), x(5)), "weight", "normalized_shape = [4] | [5]"),
    Wrong(F_RMS, (x(2, 4, dtype=I64), (4,)), "input", "Long | .float()"),
    Wrong(F_RMS, (x(2, 4), (4,), meta(4)), "weight", "meta | cpu"),
    Wrong(F_RMS, (np.ones((2, 4)), (4,)), "input", "must be Tensor, not ndarray"),
    Wrong(F_ADD, (x(2, 4), x(4), (4,)), "residual", "(4,) and (2, 4) | expand_as", error=RuntimeError),
    Wrong(F_ADD, (x(2, 4), x(2, 4, dtype=F64), (4,)), "residual", "mixed dtype | torch.float64", error=RuntimeError),
    Wrong(F_ADD, (x(2, 4), meta(2, 4), (4,)), "residual", "meta | cpu", error=RuntimeError),
    Wrong(F_ADD, (x(2, 4), None, (4,)), "residual", "must be Tensor, not NoneType", error=TypeError),
    Wrong(F_ADD, (x(2, 4), x(2, 4), (3,)), "input", "[*, 3] | [2, 4]", error=RuntimeError),
    Wrong(F_ADD, (x(2, 4), x(2, 4), (4,), x(3)), "weight", "normalized_shape = [4] | [3]", error=RuntimeError),
    Wrong(F_ADD, (x(2, 4), x(2, 4), (4,), x(4), x(4, dtype=I64)), "bias", "mixed dtype | torch.int64", error=RuntimeError),
]

F_GELU, F_BIAS, F_GEGLU = "nn.functional.gelu", "nn.functional.bias_gelu", "nn.functional.geglu"
GELU = [
    Wrong(F_GELU, (x(3),), "approximate", "either none or tanh | 'sigmoid'", {"approximate": "sigmoid"}),
    Wrong(F_GELU, (x(3, dtype=I64),), "input", "Long | .float()"),
    Wrong(F_GELU, (x(3, dtype=BOOL),), "input", "Bool | .float()"),
    Wrong(F_GELU, (x(3, dtype=C64),), "input", "ComplexFloat"),
    Wrong(F_GELU, ([1.0, 2.0],), "input", "must be Tensor, not list | torch.as_tensor"),
    Wrong(F_GELU, (1.5,), "input", "must be Tensor, not float"),
    Wrong("nn.GELU", (x(3),), "approximate", "'fast'", made_with=("fast",), blames="gelu"),
    Wrong(F_BIAS, (x(2, 3), x(2)), "bias", "(3,) | got (2,)", error=RuntimeError),
    Wrong(F_BIAS, (x(), x(1)), "input", "unsqueeze(0)", error=RuntimeError),
    Wrong(F_BIAS, (x(2, 3), x(3, dtype=I64)), "bias", "Long | .float()", error=RuntimeError),
    Wrong(F_BIAS, (x(2, 3), meta(3)), "bias", "meta | cpu", error=RuntimeError),
    Wrong(F_BIAS, (x(2, 3), x(3)), "approximate", "'erf'", {"approximate": "erf"}, error=RuntimeError),
    Wrong(F_GEGLU, (x(2, 3),), "input", "must be even | size 3", error=RuntimeError),
    Wrong(F_GEGLU, (x(2, 4), 2), "dim", "out of range | got 2 | 2 axes", error=IndexError),
    Wrong(F_GEGLU, (x(),), "dim", "out of range | 0 axes", error=IndexError),
    Wrong(F_GEGLU, (x(2, 4), 1.5), "dim", "must be int, not float", error=TypeError),
    Wrong(F_GEGLU, (x(2, 4, dtype=I64),), "input", "Long | .float()", error=RuntimeError),
]

F_EMB = "nn.functional.embedding"
GATHER = [
    Wrong("gather", (x(2, 3), 1, i([0, 3])), "index", "index 3 is out of bounds for dimension 1 with size 3 | (0, 1) | 0 to 2"),
    Wrong(
        "gather",
        (x(2, 3), 0, i([0, 1, 0], [0, 1, 2])),
        "index",
        "index 2 is out of bounds for dimension 0 with size 2 | (1, 2)",
    ),
    Wrong("gather", (x(2, 3), 1, i([0, -1])), "index", "index -1 is out of bounds | (0, 1) | negative"),
    Wrong("gather", (x(2, 3), -1, i([0, 3])), "index", "index 3 is out of bounds for dimension 1 with size 3"),
    Wrong("gather", (x(4), 0, i(0, 4, dtype=I32)), "index", "index 4 is out of bounds | (1,)"),
    Wrong("gather", (x(2, 3, dtype=I64), 1, i([0, 3])), "index", "index 3 is out of bounds"),
    Wrong("gather", (x(2, 3), 1, i([0, 3])), "index", "index 3 is out of bounds | (0, 1)", {"sparse_grad": True}),
    Wrong("gather", (x(2, 3), 1, i(0, 1)), "index", "same number of dimensions | (2,) | (2, 3) | unsqueeze"),
    Wrong("gather", (x(2, 3), 1, i([0], [0], [0])), "index", "dimension 0 | [3, 1] | [2, 3]"),
    Wrong("gather", (x(2, 3), 2, i([0])), "dim", "range of [-2, 1], but got 2"),
    Wrong("gather", (x(2, 3), -3, i([0])), "dim", "range of [-2, 1], but got -3"),
    Wrong("gather", (x(2, 3), 2, torch.empty(0, 0, dtype=I64)), "dim", "range of [-2, 1], but got 2"),
    Wrong("gather", (x(2, 3), 1.0, i([0])), "dim", "must be int, not float"),
    Wrong("gather", (x(2, 3), 1, x(1, 2)), "index", "int32/int64 | torch.float32 | .long()"),
    Wrong("gather", (x(2, 3), 1, i([0, 1], dtype=BOOL)), "index", "int32/int64 | torch.bool | .long()"),
    Wrong("gather", (x(2, 3), 1, [[0, 1]]), "index", "must be Tensor, not list"),
    Wrong("gather", (np.ones((2, 3)), 1, i([0])), "input", "must be Tensor, not ndarray"),
    Wrong("gather", (x(2, 3), 1, meta(1, 2, dtype=I64)), "index", "meta | cpu", error=RuntimeError),
    Wrong(F_EMB, (i(0, 5), x(5, 2)), "input", "index out of range | 5 | (1,) | 0 to 4"),
    Wrong(F_EMB, (i([0, 1], [-1, 2]), x(5, 2)), "input", "index out of range | -1 | (1, 0) | negative"),
    Wrong(F_EMB, (i(0, 9, dtype=I32), x(5, 2)), "input", "index out of range | 9 | (1,)"),
    Wrong(F_EMB, (i(0, 5), x(5, 2)), "input", "index out of range | 5 | (1,)", {"max_norm": 0.1}),
    Wrong(F_EMB, (i(0, 5), x(5, 2)), "input", "index out of range | 5 | (1,)", {"sparse": True}),
    Wrong(F_EMB, (x(3), x(5, 2)), "input", "Long, Int | torch.float32 | .long()"),
    Wrong(F_EMB, (x(5, 2), i(0, 1)), "weight", "2-D | (2,)"),
    Wrong(F_EMB, (i(0, 1), x(5)), "weight", "2-D | (5,)"),
    Wrong(F_EMB, ([0, 1], x(5, 2)), "input", "must be Tensor, not list"),
    Wrong(F_EMB, (i(0, 1), None), "weight", "must be Tensor, not NoneType"),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "padding_idx", "within num_embeddings | -5 to 4 | got 5", {"padding_idx": 5}),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "padding_idx", "within num_embeddings | -5 to 4 | got -6", {"padding_idx": -6}),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "padding_idx", "must be int, not float", {"padding_idx": 1.5}),
    Wrong(F_EMB, (i(0, 1), meta(5, 2)), "weight", "meta | cpu", error=RuntimeError),
    Wrong(F_EMB, (i(0, 1), x(5, 2)), "max_norm", "must be float, not str", {"max_norm": "1"}),
    Wrong("nn.Embedding", (i(0, 5),), "input", "index out of range | 5 | (1,)", made_with=(5, 2), blames="embedding"),
    Wrong("nn.Embedding", (x(3),), "input", "Long, Int", made_with=(5, 2), blames="embedding"),
    Wrong("nn.Embedding", (5, 2, 5), "padding_idx", "within num_embeddings | -5 to 4 | got 5"),
    Wrong("nn.Embedding", (5, 2, -6), "padding_idx", "within num_embeddings | -5 to 4 | got -6"),
    Wrong("nn.Embedding", (5, 2), "_weight", "(2, 5) | (5, 2)", {"_weight": x(2, 5)}),
    Wrong("nn.Embedding.from_pretrained", (x(5),), "embeddings", "2-dimensional | (5,)", blames="Embedding.from_pretrained"),
]


MHA = "nn.MultiheadAttention"
ATTENTION = [
    Wrong(MHA, (0, 2), "embed_dim", "must be greater than 0 | embed_dim=0"),
    Wrong(MHA, (4, 0), "num_heads", "must be greater than 0 | num_heads=0"),
    Wrong(MHA, (8, 3), "num_heads", "must be divisible by num_heads | 8 and 3 | 2 heads would do"),
    Wrong(MHA, (x(4), x(4), x(4)), "query", "2D or batched 3D | 1-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4), x(1, 3, 4), x(3, 4)), "key", "unbatched (2-D) | 3-D and 2-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4), x(3, 2, 4), x(3, 4)), "value", "batched (3-D) | 3-D and 2-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 5),) * 3, "query", "embedding dimension of 4, but got 5 | (3, 2, 5)", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4), x(3, 2, 5), x(3, 2, 5)), "key", "kdim = 4 | (3, 2, 5)", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4), x(3, 5), x(3, 5)), "value", "vdim = 6 | (3, 5)", made_with=(4, 2, 0, True, False, False, 5, 6)),
    Wrong(MHA, (x(3, 2, 4), x(5, 2, 4), x(6, 2, 4)), "value", "(5, 2, 4) | (6, 2, 4) | needs a value", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4), x(3, 1, 4), x(3, 1, 4)), "key", "batch of 2 but got 1 | batch_first=False", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4), [1.0], x(3, 4)), "key", "must be Tensor, not list", made_with=(4, 2), error=TypeError),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "is_causal hint | generate_square", {"is_causal": True}, (4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3 + (i(0, 0, 1),), "key_padding_mask", "2-D | 1-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 4),) * 3 + (x(1, 3),), "key_padding_mask", "1-D | 2-D", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3 + (x(3, 2),), "key_padding_mask", "(2, 3) | (3, 2)", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3 + (i([0, 0, 1], [0, 0, 0]),), "key_padding_mask", "bool | torch.int64", made_with=(4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "2-D or 3-D | 1-D", {"attn_mask": x(3)}, (4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "2D | (3, 4) | (3, 3) = (L, S)", {"attn_mask": x(3, 4)}, (4, 2)),
    Wrong(MHA, (x(3, 2, 4),) * 3, "attn_mask", "3D | (2, 3, 3) | (4, 3, 3)", {"attn_mask": x(2, 3, 3)}, (4, 2)),
    Wrong(MHA, (x(3, 4),) * 3, "attn_mask", "3D | (1, 3, 3) | (2, 3, 3)", {"attn_mask": x(1, 3, 3)}, (4, 2)),
    Wrong(MHA, (x(3, 4),) * 3, "attn_mask", "bool | .bool()", {"attn_mask": i([0] * 3, [0] * 3, [0] * 3)}, (4, 2)),
    Wrong("nn.TransformerEncoderLayer", (4, 2, 8, 0.1, "tanh"), "activation", "should be relu/gelu, not tanh | callable"),
    Wrong("nn.TransformerEncoderLayer", (x(3, 4), i([0] * 3)), "src_mask", "bool | torch.int64", made_with=(4, 2, 8)),
    Wrong("nn.FeedForward", (4, 8, "tanh"), "activation", "should be relu/gelu, not tanh", error=RuntimeError),
    Wrong("nn.TransformerLM", (0, 4, 2, 1, 8), "vocab_size", "at least 1, got 0", error=ValueError),
    Wrong("nn.TransformerLM", (9, 4, 2, 1, -8), "context_length", "at least 1, got -8", error=ValueError),
    Wrong(
        "nn.TransformerLM", (i(1, 2),), "tokens", "(B, T) | (2,) | unsqueeze(0)", made_with=(9, 4, 2, 1, 8), error=ValueError
    ),
    Wrong("nn.TransformerLM", (i([0] * 9),), "tokens", "up to | 8 | (1, 9) | cut", made_with=(9, 4, 2, 1, 8), error=ValueError),
]

F_BN, F_MAX, F_AVG = (f"nn.functional.{name}" for name in ("batch_norm", "max_pool2d", "avg_pool2d"))
F_ADA, ADAPTIVE = "nn.functional.adaptive_avg_pool2d", "adaptive_avg_pool2d"
IMAGES = x(2, 3, 6, 7)
BATCH_NORM = [
    Wrong(F_BN, (x(1, 5), None, None), "input", "more than 1 value per channel | [1, 5] | .eval()", {"training": True}),
    Wrong(F_BN, (x(1, 5, 1, 1), None, None), "input", "more than 1 value per channel | [1, 5, 1, 1]", {"training": True}),
    Wrong(F_BN, (x(5), None, None), "input", "(N, C, ...) | (5,)", {"training": True}),
    Wrong(F_BN, (x(1), None, None), "input", "more than 1 value per channel | [1]", {"training": True}),
    Wrong(F_BN, (x(5), x(5), x(5)), "input", "(N, C, ...) | (5,)"),
    Wrong(F_BN, (x(4, 5), None, x(3)), "running_var", "should contain 5 elements not 3", {"training": True}),
    Wrong(F_BN, (x(4, 5, dtype=I64), None, None), "input", "Long | .float()", {"training": True}),
    Wrong(F_BN, (x(4, 5, dtype=C64), None, None), "input", "ComplexFloat", {"training": True}),
    Wrong(F_BN, ([1.0], None, None), "input", "must be Tensor, not list", error=TypeError),
    Wrong(F_BN, (x(4, 5), None, None), "running_mean", "must be defined in evaluation mode | training=True"),
    Wrong(F_BN, (x(4, 5), x(5), None), "running_var", "must be defined in evaluation mode"),
    Wrong(F_BN, (x(4, 5), x(5), None), "running_var", "both be None or neither", {"training": True}),
    Wrong(F_BN, (x(4, 5), [1.0] * 5, x(5)), "running_mean", "must be Tensor, not list"),
    Wrong(F_BN, (x(4, 5), x(4), x(5)), "running_mean", "should contain 5 elements not 4 | (4,) | (4, 5)"),
    Wrong(F_BN, (x(4, 5), x(5), x(6)), "running_var", "should contain 5 elements not 6", {"training": True}),
    Wrong(F_BN, (x(4, 5), None, None, x(3)), "weight", "should contain 5 elements not 3", {"training": True}),
    Wrong(F_BN, (x(4, 5), None, None, x(5), x(3)), "bias", "should contain 5 elements not 3", {"training": True}),
    Wrong(F_BN, (x(4, 5), x(5), x(5), x(5, dtype=F64)), "weight", "mixed dtype | torch.float64 | torch.float32 | .to(...)"),
    Wrong(F_BN, (x(4, 5, dtype=F64), x(5), x(5)), "running_mean", "mixed dtype | torch.float32 | torch.float64"),
    Wrong(F_BN, (x(4, 5), x(5), x(5), x(5, dtype=I64)), "weight", "mixed dtype | torch.int64 | torch.float32"),
    Wrong(F_BN, (x(4, 5), meta(5), x(5)), "running_mean", "meta | cpu"),
    Wrong(F_BN, (x(4, 5), None, None), "eps", "must be positive during training, but got 0.0", {"training": True, "eps": 0.0}),
    Wrong(F_BN, (x(4, 5), x(5), x(5)), "eps", "must be non-negative, but got -1.0", {"eps": -1.0}),
    Wrong(F_BN, (x(4, 5), x(5), x(5)), "eps", "must be float, not str", {"eps": "1"}),
    Wrong(F_BN, (x(4, 5), x(5), x(5)), "momentum", "must be float, not NoneType", {"momentum": None}),
    Wrong("nn.BatchNorm1d", (x(1, 5),), "input", "more than 1 value per channel", made_with=(5,), blames="batch_norm"),
    Wrong("nn.BatchNorm1d", (x(2, 5, 3, 3),), "input", "expected 2D or 3D input (got 4D input)", made_with=(5,)),
    Wrong("nn.BatchNorm2d", (x(2, 5),), "input", "expected 4D input (got 2D input)", made_with=(5,)),
    Wrong("nn.BatchNorm2d", (x(2, 5, 3, 3),), "running_mean", "contain 5 elements not 4", made_with=(4,), blames="batch_norm"),
]
POOLING = [
    *(
        Wrong(function, (IMAGES, *args), argument, words)
        for function in (F_MAX, F_AVG)
        for args, argument, words in (
            ((-1,), "kernel_size", "kernel size should be greater than zero | (-1, -1)"),
            (((2, 2, 2),), "kernel_size", "single int, or a tuple of two ints | (2, 2, 2)"),
            ((2.5,), "kernel_size", "must be tuple of ints, not float"),
            (("2",), "kernel_size", "must be tuple of ints, not str"),
            ((2, 0), "stride", "should be greater than zero | (0, 0)"),
            ((2, (1, 2, 3)), "stride", "tuple of two ints | (1, 2, 3)"),
            ((2, 2, -1), "padding", "non-negative, but got pad: -1"),
            ((2, 2, 2), "padding", "at most half of effective kernel size | pad=2, kernel_size=2"),
            ((2, 2, 0.5), "padding", "must be tuple of ints, not float"),
            ((9,), "input", "(3x6x7) | Output size is too small | (9, 9) | earlier layers"),
        )
    ),
    Wrong(F_MAX, (IMAGES, 2), "dilation", "greater than zero | (0, 0)", {"dilation": 0}),
    Wrong(F_MAX, (x(6, 7), 2), "input", "3D or 4D | (C, H, W) | [6, 7]"),
    Wrong(F_AVG, (x(1, 2, 3, 6, 7), 2), "input", "3D or 4D | [1, 2, 3, 6, 7]"),
    Wrong(F_MAX, (x(2, 0, 6, 7), 2), "input", "optional 0 dim batch size | [2, 0, 6, 7]"),
    Wrong(F_AVG, (x(2, 3, 0, 7), 2), "input", "optional 0 dim batch size | [2, 3, 0, 7]"),
    Wrong(F_MAX, ([1.0], 2), "input", "must be Tensor, not list"),
    Wrong(F_AVG, ([1.0], 2), "input", "must be Tensor, not list"),
    Wrong(F_MAX, (IMAGES > 1, 2), "input", "Bool"),
    Wrong(F_AVG, (x(3, 6, 7, dtype=I32), 2), "input", "Int | .float()"),
    Wrong(F_AVG, (IMAGES, 2), "divisor_override", "not zero", {"divisor_override": 0}),
    Wrong(F_AVG, (IMAGES, 2), "divisor_override", "must be int, not float", {"divisor_override": 1.5}),
    Wrong(F_AVG, (IMAGES, 2, 2, 0, 1), "ceil_mode", "must be bool, not int"),
    Wrong(F_ADA, (IMAGES, -1), "output_size", "greater than or equal to 0 | (-1, -1)"),
    Wrong(F_ADA, (IMAGES, (1, 2, 3)), "output_size", "must be 2 | (1, 2, 3)"),
    Wrong(F_ADA, (IMAGES, 1.5), "output_size", "must be tuple of ints, not float"),
    Wrong(F_ADA, (IMAGES, (2, 2.5)), "output_size", "type float"),
    Wrong(F_ADA, (x(6, 7), (2, 2)), "input", "at least 3, got 2 | unsqueeze(0)"),
    Wrong(F_ADA, (x(1, 2, 3, 6, 7), 2), "input", "3D or 4D | [1, 2, 3, 6, 7]"),
    Wrong(F_ADA, (x(2, 3, 0, 7), 2), "input", "non-zero size | [2, 3, 0, 7]"),
    Wrong(F_ADA, (x(3, 6, 7, dtype=I64), 2), "input", "Long | .float()"),
    Wrong(F_ADA, ([1.0], 2), "input", "must be Tensor, not list", error=TypeError),
    Wrong("nn.MaxPool2d", (x(6, 7),), "input", "3D or 4D", made_with=(2,), blames="max_pool2d"),
    Wrong("nn.AvgPool2d", (IMAGES,), "padding", "at most half", made_with=(2, 2, 2), blames="avg_pool2d"),
    Wrong("nn.AdaptiveAvgPool2d", (IMAGES,), "output_size", "greater than or equal", made_with=(-1,), blames=ADAPTIVE),
]

F_DROP, F_MSE, F_RELU = "nn.functional.dropout", "nn.functional.mse_loss", "nn.functional.relu"
parameter = torch.nn.Parameter(x(2))
OTHERS = [
    Wrong("accelerate", (torch.nn.Linear,), "model", "torch.nn.Module, not Linear | call it first", error=TypeError),
    Wrong("accelerate", ([],), "model", "torch.nn.Module, not list", error=TypeError),
    Wrong(F_DROP, (x(3), 1.5), "p", "between 0 and 1, but got 1.5"),
    Wrong(F_DROP, (x(3), -0.1), "p", "between 0 and 1, but got -0.1"),
    Wrong(F_DROP, ([1.0, 2.0],), "input", "must be Tensor, not list"),
    Wrong(F_DROP, (x(3, dtype=I64),), "input", "Long | .float()"),
    Wrong(F_RELU, ([1.0, -1.0],), "input", "must be Tensor, not list"),
    Wrong(F_RELU, (None,), "input", "must be Tensor, not NoneType"),
    Wrong("nn.Dropout", (2,), "p", "between 0 and 1, but got 2"),
    Wrong(F_MSE, (x(3), x(4)), "target", "(4,) | (3,)"),
    Wrong(F_MSE, (x(2, 3, 1), x(2, 3)), "target", "(2, 3) | (2, 3, 1) | squeeze(2)"),
    Wrong(F_MSE, (x(3, dtype=I64), x(3, dtype=I64)), "input", "torch.int64 | .float()"),
    Wrong(F_MSE, (x(3, dtype=C64), x(3)), "input", "torch.complex64"),
    Wrong(F_MSE, (x(3), x(3)), "reduction", "avg | 'none', 'mean' or 'sum'", {"reduction": "avg"}),
    Wrong(F_MSE, (x(3), x(3)), "weight", "(2,) | (3,)", {"weight": x(2)}),
    Wrong(F_MSE, (x(3), [1.0, 2.0, 3.0]), "target", "must be Tensor, not list", error=TypeError),
    Wrong(F_MSE, (None, x(3)), "input", "must be Tensor, not NoneType", error=TypeError),
    Wrong(F_MSE, (x(3), meta(3)), "target", "meta | cpu"),
    Wrong("optim.SGD", ([parameter], -0.1), "lr", "Invalid learning rate: -0.1"),
    Wrong("optim.SGD", ([parameter],), "momentum", "Invalid momentum value: -1", {"momentum": -1}),
    Wrong("optim.SGD", ([parameter],), "nesterov", "momentum=0.9, dampening=0", {"nesterov": True}),
    Wrong("optim.SGD", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("optim.Adam", ([parameter],), "betas", "index 0: 1.0 | 0 <= beta < 1", {"betas": (1.0, 0.9)}),
    Wrong("optim.Adam", ([parameter],), "eps", "Invalid epsilon value: -1", {"eps": -1}),
    Wrong("optim.Adam", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("optim.AdamW", ([parameter],), "betas", "index 1: 1.5 | 0 <= beta < 1", {"betas": (0.9, 1.5)}),
    Wrong("optim.AdamW", ([parameter],), "fused", "`differentiable`", {"fused": True, "differentiable": True}),
    Wrong("optim.RMSprop", ([parameter],), "alpha", "Invalid alpha value: -1", {"alpha": -1}),
    Wrong("optim.RMSprop", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("optim.Adagrad", ([parameter],), "lr_decay", "Invalid lr_decay value: -1", {"lr_decay": -1}),
    Wrong("optim.Adagrad", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("backend", ("cuba",), "name", "no backend 'cuba' | numpy, reference, cpp", error=ValueError),
    Wrong("backend", ("cpp:9",), "name", "no rung '9' | 1 to ", error=ValueError),
    Wrong("backend", ("cpp:fast",), "name", "no rung 'fast' | 1 to ", error=ValueError),
    Wrong("backend", (1,), "name", "must be str or None, not int", error=TypeError),
]

WRONG = [
    *MATMUL,
    *CONVOLUTION,
    *SOFTMAX,
    *CROSS_ENTROPY,
    *LAYER_NORM,
    *BATCH_NORM,
    *GELU,
    *GATHER,
    *POOLING,
    *ATTENTION,
    *OTHERS,
]

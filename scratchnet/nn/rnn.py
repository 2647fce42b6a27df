"""RNN, LSTM and GRU: recurrent layers over sequences, padded or packed.

torch.compile leaves them outside its graphs, as it does torch's, unless torch._dynamo.config.allow_rnn = True.
"""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Sequence

import torch.nn
from torch import Tensor
from torch.nn import Module, Parameter, init
from torch.nn.utils.rnn import PackedSequence

from scratchnet.functions.checks import check_tensor, fail
from scratchnet.functions.recurrence import recurrence
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called
from scratchnet.ops import GATES


class RNNBase(Called, torch.nn.RNNBase):
    """What the three layers share: parameters, checks, and the loop over layers and directions.

    input (T, B, I), with batch_first (B, T, I), without a batch (T, I), or a PackedSequence -> output in the same form with
    D P numbers per step, and the last state (L D, B, P), for L layers and D directions; P is proj_size, or else hidden_size.
    Parameters, for layer k and then its reverse direction: weight_ih_lk (G H, I or D P), weight_hh_lk (G H, P),
    bias_ih_lk and bias_hh_lk (G H,), weight_hr_lk (P, H). ValueError and TypeError for sizes and options that do not fit;
    RuntimeError for an input or a state of another shape, ValueError for another dtype or number of axes.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        self.mode = mode
        self._check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        rows, state = GATES[mode.lower()] * hidden_size, proj_size or hidden_size
        self._all_weights: list[list[str]] = []  # names, by layer and direction
        for layer in range(num_layers):
            inputs = state * self._directions if layer else input_size
            for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: self._directions]:
                shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, state)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(torch.empty(shape, device=device, dtype=dtype)))
                self._all_weights.append([name + suffix for name in shapes])
        self._flat_weights_names = sum(self._all_weights, [])
        self._init_flat_weights()  # torch's own list of the parameters, which its pickling and `to` renew
        self.reset_parameters()

    def _check_options(self, input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size) -> None:
        name = self._name()
        if isinstance(dropout, bool) or not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1:
            needs = "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            fail(ValueError, name, "dropout", f"{needs}, got {dropout!r}")
        flags = ("bias", bias, bool), ("batch_first", batch_first, bool)
        sizes = ("input_size", input_size, int), ("hidden_size", hidden_size, int)
        for argument, value, kind in (*flags, *sizes):
            if not isinstance(value, kind):
                fail(TypeError, name, argument, f"{argument} should be of type {kind.__name__}, got: {type(value).__name__}")
        for argument, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if value <= 0:
                fail(ValueError, name, argument, f"{argument} must be greater than zero, got {value}")
        if proj_size < 0:
            needs = "proj_size should be a positive integer or zero to disable projections"
            fail(ValueError, name, "proj_size", f"{needs}, got {proj_size}")
        if proj_size >= hidden_size:
            needs = "proj_size has to be smaller than hidden_size"
            fail(ValueError, name, "proj_size", f"{needs}, got {proj_size} and {hidden_size}")
        if proj_size and self.mode != "LSTM":
            fail(ValueError, name, "proj_size", "proj_size argument is only supported for LSTM, not RNN or GRU; leave it out")

    def _name(self) -> str:
        return self.mode.partition("_")[0]

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)), layer by layer."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Do nothing: the kernels read the parameters wherever they are (torch's arranges them for cuDNN)."""

    def forward(self, input: Tensor | PackedSequence, hx: Tensor | tuple[Tensor, Tensor] | None = None):
        if isinstance(input, PackedSequence):
            x, batch_sizes, order, back = input
            self._check_input(x, 2)
            y, state = self._run(x, batch_sizes, self._state(x, int(batch_sizes[0]), hx, 3, order))
            if back is not None:
                state = [s.index_select(1, back) for s in state]
            return PackedSequence(y, batch_sizes, order, back), self._hidden(state)
        check_tensor(self._name(), "input", input)
        if input.dim() not in (2, 3):
            shape = f"{input.dim()}D tensor instead, of shape {tuple(input.shape)}"
            fail(ValueError, self._name(), "input", f"Expected input to be 2D or 3D, got {shape}")
        self._check_input(input, input.dim())
        x = input.unsqueeze(1) if input.dim() == 2 else input.transpose(0, 1) if self.batch_first else input  # (T, B, I)
        y, state = self._run(x, None, self._state(x, x.shape[1], hx, input.dim()))
        if input.dim() == 2:
            return y.squeeze(1), self._hidden([s.squeeze(1) for s in state])
        return y.transpose(0, 1) if self.batch_first else y, self._hidden(state)

    def _check_input(self, x: Tensor, dims: int) -> None:
        weight = self.weight_ih_l0
        if x.dtype is not weight.dtype and not torch.is_autocast_enabled(x.device.type):
            hint = f"Convert input: input.to({weight.dtype}), or convert model: model.to({x.dtype})"
            problem = f"RNN input dtype ({x.dtype}) does not match weight dtype ({weight.dtype}). {hint}"
            fail(ValueError, self._name(), "input", problem)
        if x.dim() != dims:
            fail(RuntimeError, self._name(), "input", f"input must have {dims} dimensions, got {x.dim()}")
        if x.shape[-1] != self.input_size:
            sizes = f"Expected {self.input_size}, got {x.shape[-1]}"
            problem = f"input.size(-1) must be equal to input_size. {sizes} (shape {tuple(x.shape)})"
            fail(RuntimeError, self._name(), "input", problem)

    def _state(
        self, x: Tensor, batch: int, hx: Tensor | tuple[Tensor, Tensor] | None, dims: int, order: Tensor | None = None
    ) -> list[Sequence[Tensor]]:
        """The initial state: h, for an LSTM also c, L D tensors (B, size) of each; the same zeros if none is given."""
        lstm, rows = self.mode == "LSTM", self.num_layers * self._directions
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: 1 + lstm]
        if hx is None:
            return [[x.new_zeros(batch, size)] * rows for size in sizes]
        name = self._name()
        if lstm and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            fail(TypeError, name, "hx", f"must be a pair of Tensors (h_0, c_0), not {type(hx).__name__}")
        state = list(hx) if lstm else [hx]
        for s in state:
            check_tensor(name, "hx", s)
        if any(s.dim() != dims for s in state):
            kind = "batched 3-D" if dims == 3 else "unbatched 2-D"
            got = ", ".join(f"{s.dim()}-D" for s in state)
            states = f"hx and cx should also be {dims}-D but got ({got}) tensors" if lstm else ""
            fail(RuntimeError, name, "hx", f"For {kind} input, {states or f'hx should also be {dims}-D but got {got} tensor'}")
        state = [s.unsqueeze(1) if dims == 2 else s for s in state]
        for i, (s, size) in enumerate(zip(state, sizes, strict=True)):
            if s.shape != (shape := (rows, batch, size)):
                what = f"Expected hidden[{i}] size" if lstm else "Expected hidden size"
                meaning = "(num_layers * directions, batch, features)"
                fail(RuntimeError, name, "hx", f"{what} {shape}, got {list(s.shape)}; its axes are {meaning}")
        return [(s if order is None else s.index_select(1, order)).unbind() for s in state]

    def _run(self, x: Tensor, batch_sizes: Tensor | None, state: list[Sequence[Tensor]]) -> tuple[Tensor, list[Tensor]]:
        """All layers: x (T, B, I) or packed (N, I) -> y, the last state."""
        last, own = [], self._parameters  # getattr, which parametrized ones need, looks for them last
        for layer in range(self.num_layers):
            if layer and self.training:
                x = F.dropout(x, self.dropout)
            outputs = []
            for direction in range(self._directions):
                at = len(last)
                weights = [own[name] if name in own else getattr(self, name) for name in self._all_weights[at]]
                projection = weights.pop() if self.proj_size else None
                y, *end = recurrence(
                    x,
                    *weights,
                    *(() if self.bias else (None, None)),
                    state[0][at],
                    c0=state[1][at] if len(state) > 1 else None,
                    weight_hr=projection,
                    batch_sizes=batch_sizes,
                    mode=self.mode.lower(),
                    reverse=direction == 1,
                )
                outputs.append(y)
                last.append(end)
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
        return x, [torch.stack(ends) if len(ends) > 1 else ends[0].unsqueeze(0) for ends in zip(*last, strict=True)]

    def _hidden(self, state: list[Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        return (state[0], state[1]) if self.mode == "LSTM" else state[0]


class RNN(RNNBase, torch.nn.RNN):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or relu. -> output, h_n

    x (T, B, input_size), or with batch_first (B, T, input_size); for the rest see scratchnet.nn.rnn.RNNBase. ValueError for
    another nonlinearity. torch.nn.RNN; Elman 1990.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            problem = f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            fail(ValueError, "RNN", "nonlinearity", problem)
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )
        self.nonlinearity = nonlinearity


class _Gated(RNNBase):
    """An RNNBase whose class sets the mode."""

    MODE: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(
            self.MODE, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )


class LSTM(_Gated, torch.nn.LSTM):
    """i, f, o = sigmoid(...), g = tanh(...), c_t = f c_(t-1) + i g, h_t = o tanh(c_t), or W_hr times it. -> output, (h_n, c_n)

    Each ... is its quarter of W_ih x_t + b_ih + W_hh h_(t-1) + b_hh. x (T, B, input_size), or with batch_first
    (B, T, input_size); c_n (L D, B, H); for the rest, errors included, see scratchnet.nn.rnn.RNNBase. torch.nn.LSTM;
    Hochreiter and Schmidhuber 1997.
    """

    MODE = "LSTM"


class GRU(_Gated, torch.nn.GRU):
    """r, z = sigmoid(...), n = tanh(x_n + r v_n), h_t = (1 - z) n + z h_(t-1), v = W_hh h_(t-1) + b_hh. -> output, h_n

    x (T, B, input_size), or with batch_first (B, T, input_size); for the rest, errors included, see scratchnet.nn.rnn.RNNBase.
    torch.nn.GRU; Cho et al., https://arxiv.org/abs/1406.1078.
    """

    MODE = "GRU"

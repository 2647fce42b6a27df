"""Wrong calls of the gated units."""

from wrong import BOOL, I64, Wrong, meta, x

F = "nn.functional."
SELF, HALVES = ("quick_gelu", "squared_relu"), ("geglu", "reglu", "swiglu")  # torch has none of these
WRONG = [
    *(Wrong(F + name, (x(3, dtype=I64),), "input", "Long | .float()", error=NotImplementedError) for name in SELF),
    *(Wrong(F + name, (x(3, dtype=BOOL),), "input", "Bool | .float()", error=NotImplementedError) for name in SELF),
    *(Wrong(F + name, ([1.0],), "input", "must be Tensor, not list", error=TypeError) for name in SELF),
    *(Wrong(F + name, (x(2, 3),), "input", "must be even | size 3", error=RuntimeError) for name in HALVES),
    *(Wrong(F + name, (x(2, 4), 2), "dim", "out of range | got 2 | 2 axes", error=IndexError) for name in HALVES),
    *(Wrong(F + name, (x(),), "dim", "out of range | 0 axes", error=IndexError) for name in HALVES),
    *(Wrong(F + name, (x(2, 4), 1.5), "dim", "must be int, not float", error=TypeError) for name in HALVES),
    *(Wrong(F + name, (x(2, 4, dtype=I64),), "input", "Long | .float()", error=RuntimeError) for name in HALVES),
    Wrong(F + "geglu", (x(2, 4),), "approximate", "'erf'", {"approximate": "erf"}, error=RuntimeError),
    Wrong(F + "glu", (x(2, 3),), "input", "must be even | size 3"),
    Wrong(F + "glu", (x(2, 4), 2), "dim", "out of range | got 2 | 2 axes"),
    Wrong(F + "glu", (x(2, 4), 1.5), "dim", "must be int, not float"),
    Wrong(F + "glu", (x(2, 4, dtype=I64),), "input", "Long | .float()"),
    Wrong(F + "glu", (x(),), "input", "0-dimensional | unsqueeze(0)"),
    Wrong(F + "glu", (x(2, 4),), "activation", "'silu' | got 'swish'", {"activation": "swish"}, error=RuntimeError),
    Wrong(F + "glu", (x(2, 4),), "gate_first", "must be bool, not int", {"gate_first": 1}, error=TypeError),
    Wrong(F + "gated", (x(2, 3), x(3)), "value", "(2, 3) | got (3,)", error=RuntimeError),
    Wrong(F + "gated", (x(2, 3), x(2, 3, dtype=I64)), "value", "Long | .float()", error=RuntimeError),
    Wrong(F + "gated", (x(2, 3, dtype=I64), x(2, 3)), "gate", "Long | .float()", error=RuntimeError),
    Wrong(F + "gated", (x(2, 3), meta(2, 3)), "value", "meta | cpu", error=RuntimeError),
    Wrong(F + "gated", (x(2, 3), x(2, 3)), "activation", "'silu' | got 'mish'", {"activation": "mish"}, error=RuntimeError),
]

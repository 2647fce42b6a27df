"""Wrong calls of gelu and bias_gelu."""

from wrong import BOOL, C64, I64, Wrong, meta, x

F_GELU, F_BIAS = "nn.functional.gelu", "nn.functional.bias_gelu"
WRONG = [
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
]

"""Wrong calls of LayerNorm, RMSNorm and add_layer_norm."""

import numpy as np
from wrong import BF16, BOOL, C64, F64, I64, Wrong, meta, x

F_LN, F_RMS, F_ADD = "nn.functional.layer_norm", "nn.functional.rms_norm", "nn.functional.add_layer_norm"
WRONG = [
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

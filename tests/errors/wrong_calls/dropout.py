"""Wrong calls of dropout with a residual or a seed."""

import torch
from wrong import I64, Wrong, meta, x

F = "nn.functional.dropout"
SEED = torch.tensor(3)


def wrong(argument, says, error=RuntimeError, input=None, p=0.5, **options):
    return Wrong(F, (x(2, 3) if input is None else input, p), argument, says, options, error=error)


WRONG = [
    wrong("p", "between 0 and 1, but got 1.5", ValueError, p=1.5, seed=SEED),
    wrong("input", "must be Tensor, not list", TypeError, input=[1.0], residual=x(1)),
    wrong("input", "Long | .float()", NotImplementedError, input=x(3, dtype=I64), seed=SEED),
    wrong("residual", "(2, 3) | got (3,)", residual=x(3)),
    wrong("residual", "must be Tensor, not float", TypeError, residual=1.0),
    wrong("residual", "float32 | got torch.float64 | .to(input.dtype)", residual=x(2, 3, dtype=torch.float64)),
    wrong("residual", "meta | cpu", residual=meta(2, 3)),
    wrong("seed", "must be Tensor, not int", TypeError, seed=5),
    wrong("seed", "one int64 number | float32 | torch.randint", seed=torch.tensor(1.0)),
    wrong("seed", "one int64 number | (2,)", seed=torch.tensor([1, 2])),
    wrong("seed", "meta | cpu", seed=torch.tensor(3, device="meta")),
]

"""Wrong calls of batch_norm."""

from wrong import C64, F64, I64, Wrong, meta, x

F_BN = "nn.functional.batch_norm"
WRONG = [
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

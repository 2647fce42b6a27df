"""Wrong calls of softmax, log_softmax and logsumexp."""

from wrong import BOOL, C64, I32, I64, Wrong, x

WRONG = [
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
    Wrong("nn.Softmax2d", (x(2, 5),), "input", "expected input to be 3D or 4D (got 2D instead)", made_with=()),
]

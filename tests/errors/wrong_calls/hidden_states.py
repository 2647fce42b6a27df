"""Wrong calls of the losses of hidden states that torch has no function for."""

from wrong import F64, I64, Wrong, i, meta, x

DISTIL, LOG_PROB, DPO = (f"nn.functional.{name}" for name in ("linear_distillation", "linear_sequence_log_prob", "dpo_loss"))
HEADS = x(4, 5), x(3, 5), x(4, 2), x(3, 2)
WRONG = [
    Wrong(DISTIL, (x(4, 5, dtype=I64), *HEADS[1:]), "input", "Long | .float()", error=NotImplementedError),
    Wrong(DISTIL, (x(), *HEADS[1:]), "input", "scalar | (..., K)", error=RuntimeError),
    Wrong(DISTIL, (x(4, 5), x(3, 4), *HEADS[2:]), "linear_weight", "(3, 5) | (3, 4)", error=RuntimeError),
    Wrong(DISTIL, (x(4, 5), x(3, 5, dtype=F64), *HEADS[2:]), "linear_weight", "float64 | float32", error=RuntimeError),
    Wrong(DISTIL, (*HEADS[:2], x(3, 2), x(3, 2)), "teacher_input", "(4, 2) | (3, 2) | rows of input", error=RuntimeError),
    Wrong(DISTIL, (*HEADS[:3], x(4, 2)), "teacher_weight", "(3, 2) | (4, 2) | classes", error=RuntimeError),
    Wrong(DISTIL, (*HEADS[:3], meta(3, 2)), "teacher_weight", "meta | cpu", error=RuntimeError),
    Wrong(DISTIL, HEADS, "linear_bias", "(3,) | (2,)", {"linear_bias": x(2)}, error=RuntimeError),
    Wrong(DISTIL, HEADS, "teacher_bias", "(3,) | (2,)", {"teacher_bias": x(2)}, error=RuntimeError),
    Wrong(DISTIL, HEADS, "beta", "from 0 | to 1 | 1.5", {"beta": 1.5}, error=ValueError),
    Wrong(DISTIL, HEADS, "temperature", "positive | 0.0", {"temperature": 0.0}, error=ValueError),
    Wrong(DISTIL, HEADS, "token_weight", "(4,) | (3,)", {"token_weight": x(3)}, error=RuntimeError),
    Wrong(DISTIL, HEADS, "reduction", "avg | none, mean, sum", {"reduction": "avg"}, error=ValueError),
    Wrong(LOG_PROB, (x(5), x(3, 5), i(0)), "input", "(..., T, K) | (5,)", error=RuntimeError),
    Wrong(LOG_PROB, (x(2, 4, 5), x(3, 5), i(0, 1)), "target", "(2, 4) | (2,)", error=RuntimeError),
    Wrong(LOG_PROB, (x(1, 2, 5), x(3, 5), [[0, 1]]), "target", "must be Tensor, not list", error=TypeError),
    Wrong(
        LOG_PROB,
        (x(1, 2, 5), x(3, 5), i([0, 3])),
        "target",
        "Target 3 is out of bounds",
        blames="linear_cross_entropy",
        error=IndexError,
    ),
    Wrong(DPO, (x(2), x(2), x(3), x(2)), "reference_chosen", "(2,) | (3,)", error=RuntimeError),
    Wrong(DPO, (x(2), x(2), x(2), 0.0), "reference_rejected", "must be Tensor, not float", error=TypeError),
    Wrong(DPO, (x(2), x(2), x(2), x(2)), "beta", "positive | 0.0", {"beta": 0.0}, error=ValueError),
    Wrong(DPO, (x(2), x(2), x(2), x(2)), "reduction", "avg | none, mean, sum", {"reduction": "avg"}, error=ValueError),
]

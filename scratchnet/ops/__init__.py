"""The grid as data: every operator of the five primitives, its kernel signature, its cost and example calls.

Everything that needs a list of kernels reads it from here: operator registration and dispatch, `scratchnet info | verify |
bench`, the tests, the benchmarks and the tables in the docs.

One operator is a pair of kernels that has the same names and the same arguments in every backend:

    <name>_forward(*arguments)  -> the outputs, then what backward needs
    <name>_backward(*arguments) -> one gradient per differentiable input; None for an input whose `need_...` flag is False
                                   (a compiled kernel returns an empty tensor there: torch schemas have no optional results)
"""

from scratchnet.ops.batch_norm import BATCH_NORM
from scratchnet.ops.conv2d import CONV2D
from scratchnet.ops.cross_entropy import CROSS_ENTROPY, LINEAR_CROSS_ENTROPY, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX
from scratchnet.ops.gather import EMBEDDING, GATHER
from scratchnet.ops.gelu import BIAS_GELU, GEGLU, GELU
from scratchnet.ops.layer_norm import ADD_LAYER_NORM, LAYER_NORM, RMS_NORM
from scratchnet.ops.matmul import LINEAR, MATMUL
from scratchnet.ops.op import ACTIVATIONS, BACKENDS, GATES, RECURRENCES, REDUCTIONS, Backend, Cost, Example, Op
from scratchnet.ops.pool2d import ADAPTIVE_AVG_POOL2D, AVG_POOL2D, MAX_POOL2D
from scratchnet.ops.recurrence import RECURRENCE

__all__ = [
    "ACTIVATIONS", "BACKENDS", "Backend", "Cost", "Example", "GATES", "OPS", "Op", "PRIMITIVES", "RECURRENCES", "REDUCTIONS",
]  # fmt: skip

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        MATMUL, LINEAR, CONV2D, RECURRENCE,
        CROSS_ENTROPY, SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, LINEAR_CROSS_ENTROPY,
        LAYER_NORM, RMS_NORM, ADD_LAYER_NORM, BATCH_NORM,
        GELU, BIAS_GELU, GEGLU,
        GATHER, EMBEDDING, MAX_POOL2D, AVG_POOL2D, ADAPTIVE_AVG_POOL2D,
    )
}  # fmt: skip
PRIMITIVES = tuple(dict.fromkeys(op.primitive for op in OPS.values()))

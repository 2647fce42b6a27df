"""Under torch.autocast every operator gives torch's dtypes and, within their precision, torch's numbers."""

import itertools

import pytest
import torch
from cases import EXAMPLES, case, scalar

import scratchnet
import scratchnet.nn.functional as F


@pytest.mark.parametrize("backend", ("cpp", "reference"))
@pytest.mark.parametrize("name, example", EXAMPLES)
def test_autocast(name, example, backend):
    c = case(name, example, 17, 31, dtype=torch.float32)
    results = []
    for call in (c.ours, c.torch):
        with scratchnet.backend(backend), torch.autocast("cpu", torch.bfloat16):
            outputs = call(*(leaves := c.leaves))
            loss = scalar(lambda *_, outputs=outputs: outputs)()
        results.append((outputs, torch.autograd.grad(loss, leaves)))
    for ours, theirs in zip(*results, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            scale = b.abs().max()
            # torch's products round to bfloat16 on the way to a float32 loss, ours do not
            low = name.startswith(("linear", "recurrence")) or results[0][0][0].dtype == torch.bfloat16
            eps = torch.finfo(torch.bfloat16 if low else torch.float32).eps
            assert not (a - b).abs().max() > 4 * eps * scale


def x(*shape):
    return torch.randn(shape)


def p(*shape):
    return torch.rand(shape)


CLASSES = torch.tensor([0, 2, 1])
# A call of every function that torch.nn.functional or torch has too; a float tensor comes in every dtype of DTYPES.
CALLS = {
    "adaptive_avg_pool2d": [(x(1, 2, 6, 6), 2), (x(1, 2, 6, 6), 1)],
    "avg_pool2d": [(x(1, 2, 6, 6), 2)],
    "batch_norm": [(x(4, 3), p(3), p(3)), (x(4, 3), None, None, x(3), x(3), True)],
    "binary_cross_entropy": [(p(4), p(4))],
    "binary_cross_entropy_with_logits": [(x(4), p(4))],
    "bmm": [(x(2, 3, 4), x(2, 4, 5))],
    "conv1d": [(x(1, 2, 6), x(3, 2, 3))],
    "conv2d": [(x(1, 2, 6, 6), x(3, 2, 3, 3), x(3))],
    "cosine_embedding_loss": [(x(4, 3), x(4, 3), torch.tensor([1, -1, 1, 1]))],
    "cosine_similarity": [(x(4, 3), x(4, 3))],
    "cross_entropy": [(x(3, 5), CLASSES), (x(3, 5), p(3, 5)), (x(3, 5), CLASSES, p(5), None, -100, None, "none")],
    "dropout": [(x(4),)],
    "dropout2d": [(x(1, 2, 3, 3),)],
    "elu": [(x(4),)],
    "embedding": [(CLASSES, x(3, 4))],
    "embedding_bag": [(CLASSES, x(3, 4), CLASSES[:1])],
    "gather": [(x(3, 4), 1, torch.zeros(3, 2, dtype=torch.int64))],
    "gelu": [(x(4),)],
    "glu": [(x(4),)],
    "huber_loss": [(x(4), x(4))],
    "index_add": [(x(4, 3), 0, CLASSES, x(3, 3)), (x(4, 3), 1, CLASSES, x(4, 3))],
    "instance_norm": [(x(2, 3, 4),), (x(2, 3, 4), None, None, x(3), x(3))],
    "kl_div": [(x(4), p(4), None, None, "sum")],
    "l1_loss": [(x(4), x(4))],
    "layer_norm": [(x(4, 3), (3,)), (x(4, 3), (3,), x(3), x(3))],
    "leaky_relu": [(x(4),)],
    "linear": [(x(4, 3), x(2, 3), x(2)), (x(4, 3), x(2, 3))],
    "linear_cross_entropy": [(x(3, 4), x(5, 4), CLASSES)],
    "log_softmax": [(x(4, 3), 1)],
    "logsumexp": [(x(4, 3), 1)],
    "matmul": [(x(4, 3), x(3, 2)), (x(2, 4, 3), x(3))],
    "max_pool2d": [(x(1, 2, 6, 6), 2)],
    "mm": [(x(4, 3), x(3, 2))],
    "mse_loss": [(x(4), x(4))],
    "nll_loss": [(x(3, 5), CLASSES)],
    "normalize": [(x(4, 3),)],
    "one_hot": [(CLASSES,)],
    "pad": [(x(4), (1, 1))],
    "pairwise_distance": [(x(4, 3), x(4, 3))],
    "relu": [(x(4),)],
    "rms_norm": [(x(4, 3), (3,)), (x(4, 3), (3,), x(3))],
    "scaled_dot_product_attention": [(x(1, 2, 4, 3), x(1, 2, 4, 3), x(1, 2, 4, 3))],
    "scatter_add": [(x(3, 4), 1, torch.zeros(3, 2, dtype=torch.int64), x(3, 2))],
    "sigmoid": [(x(4),)],
    "silu": [(x(4),)],
    "smooth_l1_loss": [(x(4), x(4))],
    "softmax": [(x(4, 3), 1)],
    "softmin": [(x(4, 3), 1)],
    "softplus": [(x(4),)],
    "tanh": [(x(4),)],
    "triplet_margin_loss": [(x(4, 3), x(4, 3), x(4, 3))],
}
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
OURS = {name: getattr(F, name, None) or getattr(scratchnet, name) for name in (*F.__all__, *scratchnet.__all__)}
TWINS = {name: getattr(torch.nn.functional, name, None) or getattr(torch, name, None) for name in OURS}


def test_every_function_is_called():
    ours_alone = {"TeachingWarning", "accelerate", "backend", "decelerate", "add_layer_norm", "bias_gelu", "gated", "geglu"}
    ours_alone |= {"quick_gelu", "reglu", "rope", "squared_relu", "swiglu"}
    ours_alone |= {"dpo_loss", "linear_distillation", "linear_sequence_log_prob", "varlen_attn"}
    ours_alone |= {"segment_reduce"}  # torch's too, but it takes no third argument without its name
    torchs_own = {name for name in OURS if OURS[name] is TWINS[name]}
    assert OURS.keys() - ours_alone - torchs_own <= CALLS.keys() <= OURS.keys()


@pytest.mark.parametrize("backend", (None, "cpp", "reference"))
@pytest.mark.parametrize("low", (torch.bfloat16, torch.float16))
@pytest.mark.parametrize("name", CALLS)
def test_every_function_gives_torchs_dtype(name, low, backend):
    for args, dtype in itertools.product(CALLS[name], DTYPES):
        args = [a.to(dtype) if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args]
        with torch.autocast("cpu", low):
            try:
                expected = TWINS[name](*args).dtype
            except RuntimeError:  # torch has no such kernel
                continue
            with scratchnet.backend(backend):
                assert OURS[name](*args).dtype == expected, (dtype, args)

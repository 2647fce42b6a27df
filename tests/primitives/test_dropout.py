"""What is special to dropout: its mask, which follows from seed and place and is drawn again in backward."""

import itertools

import numpy as np
import pytest
import torch
from cases import TRITON, rungs

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import nn
from scratchnet.oracle import dropout as oracle

BACKENDS = (*rungs("dropout"), "reference", TRITON)
SEED = torch.tensor(2**61 + 12345)


def mask(shape, p, seed=SEED):
    """What the oracle keeps."""
    return torch.from_numpy(oracle.factors_like(np.empty(shape), seed.numpy(), p) > 0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16, torch.float16), ids=str)
def test_the_mask_is_the_oracles_bit_by_bit(backend, dtype):
    x = torch.ones(3, 1367, dtype=dtype)  # longer than a block of Triton, and no multiple of a register
    with scratchnet.backend(backend):
        for p in (0.001, 0.1, 0.5, 0.999):
            y = F.dropout(x, p, seed=SEED)
            assert torch.equal(y != 0, mask(x.shape, p))
            torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)))


@pytest.mark.parametrize("seed", (0, -1, 2**63 - 1, -(2**63)))
def test_any_seed(seed):
    seed = torch.tensor(seed)
    for backend in rungs("dropout"):
        with scratchnet.backend(backend):
            assert torch.equal(F.dropout(torch.ones(1000), 0.5, seed=seed) != 0, mask(1000, 0.5, seed))


def test_values_and_gradients_of_the_last_rung_on_any_number_of_threads():
    x, residual, grad = torch.randn(3, 100_003).unbind(), torch.randn(100_003), torch.randn(100_003)
    x = x[0].requires_grad_()
    kept = mask(x.shape, 0.2) / 0.8
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        with scratchnet.backend("cpp"):
            y = F.dropout(x, 0.2, residual=residual, seed=SEED)
            (dx,) = torch.autograd.grad(y, x, grad)
        torch.testing.assert_close(y, (x * kept + residual).float(), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(dx, (grad * kept).float(), rtol=1e-6, atol=0)


def test_a_place_is_the_index_in_order_whatever_the_strides():
    x = torch.randn(6, 8, 5, 4)
    expected = F.dropout(x, 0.5, seed=SEED)
    for stored in (x.mT.contiguous().mT, x.contiguous(memory_format=torch.channels_last), x.expand(6, 8, 5, 4)):
        assert torch.equal(F.dropout(stored, 0.5, seed=SEED), expected)
    assert F.dropout(stored, 0.5, seed=SEED).is_contiguous()
    images = F.dropout(x.contiguous(memory_format=torch.channels_last), 0.5, seed=SEED)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_the_shares_are_right_and_independent():
    n = 1 << 20
    kept = {seed: mask(n, 0.3, torch.tensor(seed)).double() - 0.7 for seed in (1, 2, 3)}
    deviation = (0.3 * 0.7 / n) ** 0.5
    for one in kept.values():
        assert abs(one.mean()) < 5 * deviation
        for lag in (1, 2, 16, 1024):  # neighbours, and what is a register, a row or a chunk away
            assert abs((one[lag:] * one[:-lag]).mean()) < 5 * 0.21 * n**-0.5
    for one, other in itertools.combinations(kept.values(), 2):
        assert abs((one * other).mean()) < 5 * 0.21 * n**-0.5


def test_places_past_32_bits_have_a_key_of_their_own():
    """As oracle and reference say."""
    rows = oracle.factors(SEED.numpy(), 3, 1000, 0.5)
    assert not (rows[0] == rows[1]).all() and not (rows[1] == rows[2]).all()


def test_a_residual_draws_a_seed_from_torchs_generator():
    x, residual = torch.ones(500), torch.zeros(500)
    torch.manual_seed(3)
    first, second = (F.dropout(x, 0.5, residual=residual) for _ in range(2))
    torch.manual_seed(3)
    again = F.dropout(x, 0.5, residual=residual)
    assert torch.equal(first, again) and not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(first, F.dropout(x, 0.5, seed=torch.randint(2**62, ())))


@pytest.mark.parametrize("backend", (*rungs("dropout"), "torch"))
def test_nothing_is_dropped_in_evaluation_or_at_0_and_everything_at_1(backend):
    x, residual = torch.tensor([1.0, -2.0, torch.nan, torch.inf]), torch.tensor([5.0, 6.0, 7.0, 8.0])
    same = torch.testing.assert_close
    with scratchnet.backend(backend):
        same(F.dropout(x, 0.5, False, residual=residual, seed=SEED), x + residual, rtol=0, atol=0, equal_nan=True)
        same(F.dropout(x, 0.0, residual=residual, seed=SEED), x + residual, rtol=0, atol=0, equal_nan=True)
        same(F.dropout(x, 0.5, False, seed=SEED), x, rtol=0, atol=0, equal_nan=True)
        # 0 times NaN and infinity is NaN: they stay visible, as in torch
        same(F.dropout(x, 1.0, seed=SEED), torch.nn.functional.dropout(x, 1.0), rtol=0, atol=0, equal_nan=True)
        same(F.dropout(x, 1.0, residual=residual, seed=SEED), x * 0 + residual, rtol=0, atol=0, equal_nan=True)


def test_inplace_overwrites_the_input_with_the_result():
    x, residual = torch.randn(40), torch.randn(40)
    leaf = x.clone().requires_grad_()
    expected = F.dropout(x, 0.4, residual=residual, seed=SEED)
    moved = leaf * 1
    y = F.dropout(moved, 0.4, inplace=True, residual=residual, seed=SEED)
    assert y is moved and torch.equal(y, expected)
    y.sum().backward()
    torch.testing.assert_close(leaf.grad, mask(40, 0.4) / 0.6, check_dtype=False)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        F.dropout(leaf, 0.4, inplace=True, seed=SEED)


def test_a_second_derivative():
    x = torch.randn(50, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: F.dropout(x, 0.3, residual=x * x, seed=SEED).square(), x)


def test_what_is_saved_is_the_seed():
    saved = []
    x = torch.randn(1000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        F.dropout(x, 0.5, residual=torch.randn(1000), seed=SEED)
        assert [t.numel() for t in saved] == [1]
        F.dropout(x, 0.5)  # torch's mask
        assert max(t.numel() for t in saved) == 1000


def test_a_layer_that_redraws():
    layer = nn.Dropout(0.3)
    assert repr(layer) == repr(torch.nn.Dropout(0.3))
    layer.redraw = True
    assert repr(layer) == "Dropout(p=0.3, inplace=False, redraw=True)"
    x = torch.randn(300)
    torch.manual_seed(1)
    y = layer(x)
    torch.manual_seed(1)
    assert torch.equal(y, F.dropout(x, 0.3, seed=torch.randint(2**62, ())))
    assert layer.eval()(x) is x


def test_compiled_calls_draw_new_masks():
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, r: F.dropout(x, 0.5, residual=r), fullgraph=True, backend="aot_eager")
    x = torch.ones(400, requires_grad=True)
    first, second = (compiled(x, torch.zeros(400)) for _ in range(2))
    assert not torch.equal(first, second)
    (grad,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(grad, first.detach())  # of ones: the mask of forward, drawn again


@pytest.mark.parametrize("direction", ("forward", "backward"))
def test_the_operator_refuses_what_does_not_fit(direction):
    ops, x = torch.ops.scratchnet, torch.ones(2, 3)
    call = {
        "forward": lambda x, seed, p, rung: ops.dropout_forward(x, None, seed, p, rung),
        "backward": lambda x, seed, p, rung: ops.dropout_backward(x, seed, p, rung),
    }[direction]
    for bad, says in (
        ((x, SEED, 1.5, 1), "p must be from 0 to 1"),
        ((x, SEED.float(), 0.5, 1), "seed must be int64"),
        ((x, SEED[None], 0.5, 1), "one number"),
        ((x.int(), SEED, 0.5, 1), "float type"),
        ((x, SEED, 0.5, 0), "no rung 0"),
    ):
        with pytest.raises(RuntimeError, match=says):
            call(*bad)
    with pytest.raises(RuntimeError, match="residual must be float32 of shape"):
        ops.dropout_forward(x, torch.ones(3), SEED, 0.5, 1)

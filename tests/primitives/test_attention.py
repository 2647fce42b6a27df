"""What is special to attention: masks, dropout, groups, windows, sinks, heads of any size, memory, threads."""

import math

import pytest
import torch
import torch.nn.functional as F
from cases import rungs

import scratchnet
from scratchnet.functions.attention import scaled_dot_product_attention as attention
from scratchnet.functions.attention import varlen_attn
from scratchnet.functions.dispatch import OPERATORS
from scratchnet.ops.attention import EVERYWHERE, AttentionOptions, visible
from scratchnet.reference.attention import dropout_factors

RUNGS = rungs("attention")
CPP = [name for name in RUNGS if name.startswith("cpp")]
TILED = CPP[2:]


def tensors(*shape, keys=None, groups=None, values=None, dtype=torch.float32, seed=0):
    b, h, rows, e = shape
    generator = torch.Generator().manual_seed(seed)
    sizes = (shape, (b, groups or h, keys or rows, e), (b, groups or h, keys or rows, values or e))
    return [torch.randn(size, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for size in sizes]


def with_gradients(function, inputs, *args, **kwargs):
    """The output and the gradients of the tensors that want one, also of a mask or of sinks."""
    y = function(*inputs, *args, **kwargs)
    grad = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)
    leaves = [t for t in (*inputs, *args, *kwargs.values()) if isinstance(t, torch.Tensor) and t.requires_grad]
    return [y, *torch.autograd.grad(y, leaves, grad)]


def close(ours, exact, bound=2e-6):
    for a, b in zip(ours, exact, strict=True):
        error = (a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1)  # of a gradient that cancels too
        assert error <= bound, (error, a.shape)


@pytest.mark.parametrize("backend", TILED)
@pytest.mark.parametrize("rows, keys", ((1, 500), (95, 193), (97, 191), (200, 400), (385, 97), (600, 600)))
@pytest.mark.parametrize(
    "options", ({}, {"is_causal": True}, {"window": (30, 130)}, {"window": 200, "is_causal": True}), ids=str
)
def test_sizes_around_every_block(rows, keys, options, backend):
    inputs = tensors(1, 3, rows, 40, keys=keys, groups=1, values=24)
    with scratchnet.backend(backend):
        ours = with_gradients(attention, inputs, enable_gqa=True, **options)
    with scratchnet.backend("reference"):
        exact = with_gradients(attention, [t.detach().double().requires_grad_() for t in inputs], enable_gqa=True, **options)
    close(ours, exact)


@pytest.mark.parametrize("threads", (1, 2, 3, 8))
@pytest.mark.parametrize("heads, groups", ((1, 1), (2, 1), (8, 4), (12, 12)))
def test_the_bits_do_not_depend_on_the_threads(heads, groups, threads):
    inputs = tensors(1, heads, 300, 32, groups=groups)
    options = {"enable_gqa": True, "dropout_p": 0.2, "is_causal": True, "sinks": torch.randn(heads).requires_grad_()}
    options["attn_mask"] = torch.randn(1, heads, 1, 300).requires_grad_()
    before = torch.get_num_threads()
    try:
        results = []
        for count in (1, threads):
            torch.set_num_threads(count)
            torch.manual_seed(3)
            with scratchnet.backend("cpp"):
                results.append(with_gradients(attention, inputs, **options))
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("backend", (*CPP, "reference"))
@pytest.mark.parametrize("additive", (False, True))
def test_queries_without_keys_give_zeros_and_no_gradient(additive, backend):
    inputs = tensors(2, 2, 4, 3, keys=5)
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[2] = False
    mask = torch.zeros(4, 5).masked_fill(~mask, -math.inf) if additive else mask
    with scratchnet.backend(backend):
        y, dq, dk, dv = with_gradients(attention, inputs, mask)
    own = with_gradients(F.scaled_dot_product_attention, inputs, mask)
    assert torch.equal(y[:, :, 2], torch.zeros(2, 2, 3)) and torch.equal(dq[:, :, 2], torch.zeros(2, 2, 3))
    torch.testing.assert_close([y, dq, dk, dv], own)


@pytest.mark.parametrize("shape", ((), (5,), (4, 5), (2, 1, 5), (3, 1, 1, 5), (1, 2, 4, 1), (3, 2, 4, 5)))
@pytest.mark.parametrize("backend", CPP)
def test_masks_of_every_shape_broadcast(shape, backend):
    inputs = tensors(3, 2, 4, 3, keys=5)
    generator = torch.Generator().manual_seed(1)
    floats = torch.randn(shape, generator=generator).requires_grad_()
    for mask in (floats, torch.rand(shape, generator=generator) < 0.7, floats.detach().expand(3, 2, 4, 5)):
        with scratchnet.backend(backend):
            ours = with_gradients(attention, inputs, mask)
        own = with_gradients(lambda *t: F.scaled_dot_product_attention(*t[:3], t[3].expand(3, 2, 4, 5)), inputs, mask)
        torch.testing.assert_close(ours, own, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("backend", CPP)
def test_a_large_mask_gradient_is_summed_over_what_it_was_broadcast_to(backend):
    inputs = tensors(2, 2, 110, 8, keys=210)
    for shape in ((110, 210), (2, 1, 1, 210), (1, 2, 110, 210)):
        mask = torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with scratchnet.backend(backend):
            ours = with_gradients(attention, inputs, mask)
        wide = [t.detach().double().requires_grad_() for t in (*inputs, mask)]
        close(ours, with_gradients(F.scaled_dot_product_attention, wide[:3], wide[3]), 5e-6)


# ---- dropout ------------------------------------------------------------------------------------------------------------


def test_dropout_obeys_the_seed_and_differs_between_calls():
    inputs = tensors(1, 2, 50, 8)
    draw = lambda: with_gradients(attention, inputs, dropout_p=0.3)
    with scratchnet.backend("cpp"):
        torch.manual_seed(5)
        first, second = draw(), draw()
        torch.manual_seed(5)
        again = draw()
    assert all(map(torch.equal, first, again)) and not torch.equal(first[0], second[0])


@pytest.mark.parametrize("backend", (*RUNGS, "reference"))
def test_every_backend_drops_the_same(backend):
    inputs = tensors(1, 2, 9, 4, dtype=torch.float64)
    results = []
    for name in ("numpy", backend):
        torch.manual_seed(7)
        with scratchnet.backend(name):
            results.append(with_gradients(attention, inputs, dropout_p=0.4, is_causal=True))
    torch.testing.assert_close(*results)


def test_dropout_drops_its_share_independently():
    """Of 2^20 places a share of p is dropped, in every row and column; neighbours are not alike."""
    scores, p = torch.zeros(2, 2, 512, 512), 0.25
    for seed in (0, 1, -(2**60)):
        kept = (dropout_factors(torch.tensor(seed), scores, p) > 0).double()
        deviation = math.sqrt(p * (1 - p))
        assert abs(kept.mean() - (1 - p)) < 5 * deviation / 1024
        for axis in (2, 3):
            assert (kept.mean(axis) - (1 - p)).abs().max() < 6 * deviation / math.sqrt(512)
            near = (kept - kept.mean()) * (kept - kept.mean()).roll(1, axis)
            assert abs(near.mean()) < 5 * deviation**2 / 1024


@pytest.mark.parametrize("backend", CPP)
def test_dropping_everything_gives_zeros(backend):
    with scratchnet.backend(backend):
        results = with_gradients(attention, tensors(1, 2, 5, 4), dropout_p=1.0)
    assert all(torch.equal(t, torch.zeros_like(t)) for t in results)


# ---- options that torch lacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", CPP)
def test_a_window_is_a_mask(backend):
    inputs = tensors(1, 2, 12, 4)
    for window, (left, right) in {3: (2, 2), (1, 4): (1, 4), (None, 0): (EVERYWHERE, 0), (2, None): (2, EVERYWHERE)}.items():
        with scratchnet.backend(backend):
            ours = with_gradients(attention, inputs, window=window)
        own = with_gradients(F.scaled_dot_product_attention, inputs, visible(12, 12, left, right))
        torch.testing.assert_close(ours, own, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("backend", CPP)
def test_a_sink_is_a_key_without_value(backend):
    q, k, v = tensors(2, 3, 6, 4, dtype=torch.float64)
    sinks = torch.randn(3, dtype=torch.float64).requires_grad_()
    with scratchnet.backend(backend):
        ours = with_gradients(attention, (q, k, v), sinks=sinks)

    def by_hand(q, k, v, sinks):
        scores = torch.cat([q @ k.mT / 2, sinks[:, None, None].expand(2, 3, 6, 1)], 3)
        return scores.softmax(3)[..., :-1] @ v

    torch.testing.assert_close(ours, with_gradients(by_hand, (q, k, v, sinks)))


# ---- shapes, values, memory -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shapes, options",
    (
        (((4, 3), (5, 3), (5, 2)), {}),
        (((2, 4, 3), (2, 5, 3), (2, 5, 3)), {"is_causal": True}),
        (((2, 4, 3), (1, 5, 3), (5, 3)), {}),
        (((1, 2, 4, 3), (3, 2, 5, 3), (3, 1, 5, 3)), {}),
        (((3, 1, 2, 4, 3), (1, 5, 2, 5, 3), (2, 5, 3)), {"attn_mask": torch.ones(4, 5, dtype=torch.bool).tril(1)}),
        (((1, 4, 4, 3), (1, 2, 5, 3), (1, 1, 5, 3)), {"enable_gqa": True}),
        (((4, 4, 3), (2, 5, 3), (2, 5, 3)), {"enable_gqa": True}),
    ),
)
def test_shapes_that_torch_takes(shapes, options):
    inputs = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes]
    with scratchnet.backend("cpp"):
        ours = with_gradients(attention, inputs, **options)
    torch.testing.assert_close(ours, with_gradients(F.scaled_dot_product_attention, inputs, **options))


@pytest.mark.parametrize("backend", CPP)
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16))
def test_large_scores_lose_nothing(dtype, backend):
    """Weights of 0 and 1, and no overflow: the largest score is subtracted."""
    q = torch.eye(6, dtype=dtype)[None, None] * 200
    v = torch.randn(1, 1, 6, 3).to(dtype)
    with scratchnet.backend(backend):
        assert torch.equal(attention(q, q, v, scale=1.0), v)


@pytest.mark.parametrize("backend", CPP)
def test_nan_spoils_what_it_reaches(backend):
    q, k, v = tensors(1, 2, 5, 4)
    with torch.no_grad():
        q[0, 0, 3, 1] = math.nan
        k[0, 1, 2, 0] = math.nan
    with scratchnet.backend(backend):
        y = attention(q, k, v)
    assert y[0, 0].isnan().any(1).tolist() == [False, False, False, True, False] and y[0, 1].isnan().all()


def test_the_heads_of_a_position_lie_side_by_side():
    """As torch's: joining them for the next projection copies nothing."""
    with scratchnet.backend("cpp"):
        y = attention(*tensors(2, 3, 5, 4))
    assert y.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("backend", ("cpp",))
def test_no_matrix_of_scores_is_kept(backend):
    """What backward keeps: the inputs, y and a number for each query."""
    kept = {}

    def pack(t):
        kept[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with scratchnet.backend(backend), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        attention(*tensors(1, 2, 300, 16), is_causal=True)
    assert sum(kept.values()) <= 4 * 2 * 300 * 16 * 4 + 2 * 300 * 8


def test_second_derivatives():
    inputs = tensors(1, 2, 4, 3, dtype=torch.float64)
    mask = torch.randn(2, 4, 4, dtype=torch.float64).requires_grad_()
    with scratchnet.backend("cpp"):
        call = lambda *t: attention(*t[:3], t[3], softcap=3.0, window=3)
        assert torch.autograd.gradgradcheck(call, (*inputs, mask))


def test_the_operator_refuses_what_its_kernels_cannot_read():
    q, k, v = (t.detach() for t in tensors(1, 2, 3, 4))
    options = AttentionOptions(EVERYWHERE, EVERYWHERE, 1.0, 0.0, 0.0)
    forward = OPERATORS["attention"].cells["cpp"].forward
    for wrong, words in (
        ((q[0], k, v, None, None, None, options), "four axes"),
        ((q, k[..., :3], v, None, None, None, options), "same head size"),
        ((q, k, v[:, :, :2], None, None, None, options), "number of rows"),
        ((q, k[:, :0], v[:, :0], None, None, None, options), "number of heads"),
        ((q, k, v, torch.zeros(1, 1, 3, 2), None, None, options), "mask"),
        ((q, k, v, None, None, None, options._replace(dropout=0.5)), "seed"),
        ((q, k, v, None, None, None, options._replace(left=-1)), "left"),
    ):
        with pytest.raises(RuntimeError, match=words):
            forward(*wrong)


def packed(lengths_q, lengths_k, heads, groups, dtype=torch.float32):
    """query, key, value of sequences one behind the other, where these begin, and the longest."""
    generator = torch.Generator().manual_seed(1)
    sizes = ((sum(lengths_q), heads, 16), (sum(lengths_k), groups, 16), (sum(lengths_k), groups, 24))
    tensors = [torch.randn(size, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for size in sizes]
    ends = [torch.tensor([0, *lengths]).cumsum(0).int() for lengths in (lengths_q, lengths_k)]
    return tensors, (*ends, max(lengths_q, default=0), max(lengths_k, default=0))


def sequences_as_a_mask(query, key, value, cu_seq_q, cu_seq_k, window_size, enable_gqa):
    """varlen_attn by its definition, in one matrix of scores."""
    seen = torch.zeros(len(query), len(key), dtype=torch.bool)
    for (q, end_q), (k, end_k) in zip(*(ends.unfold(0, 2, 1).tolist() for ends in (cu_seq_q, cu_seq_k)), strict=True):
        place = torch.arange(end_k - end_q + q, end_k)[:, None]
        left, right = (len(query) + len(key) if side < 0 else side for side in window_size)
        keys = torch.arange(k, end_k)
        seen[q:end_q, k:end_k] = (keys >= place - left) & (keys <= place + right)
    y = F.scaled_dot_product_attention(*(t.transpose(0, 1) for t in (query, key, value)), seen, enable_gqa=enable_gqa)
    return y.transpose(0, 1)


@pytest.mark.parametrize("backend", (None, "cpp", "reference"))
@pytest.mark.parametrize("window_size", ((-1, -1), (-1, 0), (3, 0), (2, 1), (0, -1), (0, 0)))
@pytest.mark.parametrize("lengths_k", ((1, 30, 0, 7), (5, 2, 3, 40), (1, 200, 7, 1)))
def test_sequences_one_behind_the_other(lengths_k, window_size, backend):
    inputs, ends = packed((1, 30, 3, 7), lengths_k, heads=4, groups=2)
    with scratchnet.backend(backend):
        ours = with_gradients(varlen_attn, inputs, *ends, window_size=window_size, enable_gqa=True)
    exact = [t.detach().double().requires_grad_() for t in inputs]
    close(ours, with_gradients(sequences_as_a_mask, exact, *ends[:2], window_size=window_size, enable_gqa=True))


def test_no_sequences():
    inputs, ends = packed((), (), heads=4, groups=4)
    assert [t.shape for t in with_gradients(varlen_attn, inputs, *ends)] == [(0, 4, 24), (0, 4, 16), (0, 4, 16), (0, 4, 24)]


@pytest.mark.parametrize("rows, heads, groups", ((1, 2, 2), (1, 4, 1), (2, 4, 2), (4, 3, 3), (5, 2, 2)))
@pytest.mark.parametrize("options", ({}, {"window": (50, 150), "dropout_p": 0.3}, {"softcap": 2.0, "is_causal": True}), ids=str)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16))
@pytest.mark.parametrize("size, values", ((64, 64), (5, 3), (130, 77)))
def test_a_few_queries_read_keys_in_place(size, values, dtype, options, rows, heads, groups):
    inputs = [t.detach() for t in tensors(2, heads, rows, size, keys=500, groups=groups, values=values, dtype=dtype)]
    results = []
    for backend, of in (("cpp:8", inputs), ("cpp:9", inputs), ("reference", [t.double() for t in inputs])):
        torch.manual_seed(5)
        with scratchnet.backend(backend):
            results.append(attention(*of, enable_gqa=True, **options))
    assert torch.equal(*results[:2])
    close(results[:1], results[2:], 4e-3 if dtype is torch.bfloat16 else 2e-6)


@pytest.mark.parametrize("rows", [1, 3, 4, 5])
@pytest.mark.parametrize("name", CPP)
def test_the_probabilities_of_backward_add_up_to_one_where_scores_are_large(name, rows):
    """Backward makes exp(s - lse) again: of sums in another order, or of a rounded lse, 2e-6 are missing."""
    missing = []
    for seed in range(20):
        q, k, v = tensors(1, 2, rows, 256, keys=90, seed=seed)
        with scratchnet.backend(name):
            y = attention(20 * q, k, v)
            (dv,) = torch.autograd.grad(y, v, torch.ones_like(y))
        missing.append((dv.double().sum(2) / rows - 1).abs().max().item())
    assert max(missing) < 4e-7

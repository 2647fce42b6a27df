"""What is special to rope: it turns, whatever the layout; angles keep their digits; memory stays in order."""

import pytest
import torch
from cases import TRITON, rungs

import scratchnet
from scratchnet.measure.verify import TIMES_TORCH, ULPS

BACKENDS = (*rungs("rope"), "reference", "numpy", TRITON)


@pytest.fixture(params=rungs("rope"))
def rung(request):
    with scratchnet.backend(request.param):
        yield


def angles(positions, rotary, interleaved=False, dtype=torch.float64):
    """cos and sin, of each angle twice, and the angles themselves."""
    once = positions.double()[..., None] * 10000.0 ** (torch.arange(0, rotary, 2, dtype=torch.float64) / -rotary)
    twice = once.repeat_interleave(2, -1) if interleaved else torch.cat((once, once), -1)
    return twice.cos().to(dtype), twice.sin().to(dtype), once


def pairs(x, interleaved):
    """The pairs of each head as complex numbers."""
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
    return torch.complex(a, b)


def query_and_key(dtype=torch.float64, batch=2, tokens=7, size=12):
    return torch.randn(batch, 4, tokens, size, dtype=dtype), torch.randn(batch, 2, tokens, size, dtype=dtype)


@pytest.mark.parametrize("interleaved", (False, True))
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_pair_is_turned_by_its_angle(backend, interleaved):
    q, k = query_and_key()
    cos, sin, once = angles(torch.arange(7), 12, interleaved)
    with scratchnet.backend(backend):
        turned = scratchnet.rope(q, k, cos, sin, interleaved=interleaved)
    for x, y in zip((q, k), turned, strict=True):
        torch.testing.assert_close(pairs(y, interleaved), pairs(x, interleaved) * torch.polar(torch.ones_like(once), once))


@pytest.mark.parametrize("interleaved", (False, True))
def test_scores_depend_on_the_distance_alone(rung, interleaved):
    """What it is for: the product of query and key is the same when both move on by the same number of tokens."""
    q, k = torch.randn(1, 1, 1, 64, dtype=torch.float64), torch.randn(1, 1, 1, 64, dtype=torch.float64)

    def score(at, distance):
        cos, sin, _ = angles(torch.tensor([at, at + distance]), 64, interleaved)
        turned, _ = scratchnet.rope(q, k, cos[:1], sin[:1], interleaved=interleaved)
        _, other = scratchnet.rope(q, k, cos[1:], sin[1:], interleaved=interleaved)
        return (turned * other).sum()

    for distance in (0, 1, 100):
        torch.testing.assert_close(score(5000, distance), score(0, distance))
    assert abs(score(0, 100) - score(0, 1)) > 1e-3


@pytest.mark.parametrize("interleaved", (False, True))
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_turns_back(backend, interleaved):
    """Of an orthogonal matrix the transpose is the inverse: what was turned forward comes back."""
    q, k = (t.requires_grad_() for t in query_and_key())
    cos, sin, _ = angles(torch.arange(7), 8, interleaved)
    with scratchnet.backend(backend):
        turned = scratchnet.rope(q, k, cos, sin, interleaved=interleaved)
        back = torch.autograd.grad(turned, (q, k), [y.detach() for y in turned])
    torch.testing.assert_close(back, (q.detach(), k.detach()))


@pytest.mark.parametrize("interleaved", (False, True))
@pytest.mark.parametrize("rotary", (0, 2, 10))
def test_the_columns_behind_are_copied_to_the_bit(rung, rotary, interleaved):
    q, k = query_and_key(torch.float32, size=13)
    cos, sin, _ = angles(torch.arange(7), rotary, interleaved, torch.float32)
    for x, y in zip((q, k), scratchnet.rope(q, k, cos, sin, interleaved=interleaved), strict=True):
        assert torch.equal(y[..., rotary:], x[..., rotary:])
        assert rotary == 0 or not torch.equal(y[..., :rotary], x[..., :rotary])


def test_every_form_of_the_angles_gives_the_same_bits(rung):
    q, k = query_and_key(torch.float32)
    cos, sin, _ = angles(torch.arange(7), 12, dtype=torch.float32)
    expected = scratchnet.rope(q, k, cos, sin)
    table = [torch.cat((t.new_full((2, 12), torch.nan), t)) for t in (cos, sin)]
    ids = torch.arange(2, 9)
    forms = {
        "(1, T, R)": (cos[None], sin[None]),
        "(B, T, R)": (cos.expand(2, -1, -1), sin.repeat(2, 1, 1)),
        "every second number": (cos.repeat_interleave(2, -1)[:, ::2], sin),
        "a table": (*table, ids),
        "int32": (*table, ids.int()),
        "(1, T) ids": (*table, ids[None]),
        "(B, T) ids": (*table, torch.stack((ids, ids))),
        "expanded ids": (*table, ids.expand(2, -1)),
        "ids apart": (*table, ids.repeat_interleave(3)[::3]),
    }
    for name, given in forms.items():
        torch.testing.assert_close(scratchnet.rope(q, k, *given), expected, rtol=0, atol=0, msg=name)
    first = [x.transpose(1, 2).contiguous() for x in (q, k)]
    turned = scratchnet.rope(*first, cos, sin, unsqueeze_dim=2)
    torch.testing.assert_close([y.transpose(1, 2) for y in turned], [*expected], rtol=0, atol=0)


def test_each_row_of_a_batch_has_its_own_positions(rung):
    q, k = query_and_key()
    ids = torch.tensor([[0, 1, 2, 0, 1, 0, 5], [3, 3, 3, 4, 8, 0, 1]])
    table = angles(torch.arange(9), 12)[:2]
    turned = scratchnet.rope(q, k, *table, ids)
    for b in range(2):
        rows = [t[ids[b]] for t in table]
        torch.testing.assert_close([y[b : b + 1] for y in turned], [*scratchnet.rope(q[b : b + 1], k[b : b + 1], *rows)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_position_out_of_range_is_refused_before_anything_is_read(backend):
    q, k = query_and_key()
    table = angles(torch.arange(9), 12)[:2]
    for wrong in (9, -1, 2**40):
        ids = torch.arange(7)
        ids[3] = wrong
        with scratchnet.backend(backend), pytest.raises(IndexError, match=rf"'position_ids': index {wrong} .* 9 rows"):
            scratchnet.rope(q, k, *table, ids)


def test_a_projection_is_turned_in_place_of_a_copy(rung):
    """view(B, T, H, D).transpose(1, 2), as Hugging Face's models have it: result and gradient lie in memory as it does."""
    x = torch.randn(2, 5, 4 * 8, requires_grad=True)
    y = torch.randn(2, 5, 2 * 8, requires_grad=True)
    q, k = (t.view(2, 5, -1, 8).transpose(1, 2) for t in (x, y))
    cos, sin, _ = angles(torch.arange(5), 8, dtype=torch.float32)
    turned = scratchnet.rope(q, k, cos, sin)
    assert [t.stride() for t in turned] == [q.stride(), k.stride()]
    dq, dk = torch.autograd.grad(turned, (q, k), [torch.ones_like(t) for t in turned], retain_graph=True)
    assert (dq.stride(), dk.stride()) == (q.stride(), k.stride())
    torch.testing.assert_close(turned, scratchnet.rope(q.contiguous(), k.contiguous(), cos, sin), rtol=0, atol=0)
    assert scratchnet.rope(q.contiguous(), k, cos, sin)[0].is_contiguous()


@pytest.mark.parametrize("interleaved", (False, True))
def test_16_bit_heads_keep_the_digits_of_float32_angles(rung, interleaved):
    """At position 100,000 an angle that is rounded to bfloat16 is wrong by hundreds of turns, its cosine by up to 1/256."""
    q, k = query_and_key(torch.bfloat16, tokens=64, size=64)
    positions = torch.arange(100_000, 100_064)
    cos, sin, _ = angles(positions, 64, interleaved, torch.float32)
    exact = scratchnet.rope(q.double(), k.double(), cos.double(), sin.double(), interleaved=interleaved)
    ours = scratchnet.rope(q, k, cos, sin, interleaved=interleaved)
    rounded = scratchnet.rope(q, k, cos.bfloat16(), sin.bfloat16(), interleaved=interleaved)
    for y, narrow, right in zip(ours, rounded, exact, strict=True):
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, right.to(torch.bfloat16)) or (y.double() - right).abs().max() < 0.004 * right.abs().max()
        assert (narrow.double() - right).abs().mean() > 1.2 * (y.double() - right).abs().mean()


@pytest.mark.parametrize("name", ("cos", "sin"))
@pytest.mark.parametrize("backend", (*rungs("rope"), "numpy"))
def test_angles_that_learn_get_their_gradient(backend, name):
    """No kernel has one for them: the reference runs."""
    q, k = query_and_key()
    given = dict(zip(("cos", "sin"), angles(torch.arange(9), 8)[:2], strict=True))
    given[name].requires_grad_()
    ids = torch.tensor([1, 1, 8, 0, 2, 2, 2])
    with scratchnet.backend(backend):
        loss = lambda table: sum(
            (y * torch.arange(12.0)).sum() for y in scratchnet.rope(q, k, **{**given, name: table}, position_ids=ids)
        )
        assert torch.autograd.gradcheck(loss, given[name])


@pytest.mark.parametrize("interleaved", (False, True))
def test_infinity_and_nan_stay_with_their_pair(rung, interleaved):
    q, k = query_and_key(torch.float32)
    cos, sin, _ = angles(torch.arange(1, 8), 12, interleaved, torch.float32)
    plain = scratchnet.rope(q, k, cos, sin, interleaved=interleaved)[0]
    q[0, 1, 2, 4], q[1, 3, 6, 11] = torch.nan, torch.inf
    y = scratchnet.rope(q, k, cos, sin, interleaved=interleaved)[0]
    spoiled = (~y.isfinite()).nonzero().tolist()
    partner = (lambda j: j ^ 1) if interleaved else (lambda j: (j + 6) % 12)
    assert sorted(spoiled) == sorted([[0, 1, 2, 4], [0, 1, 2, partner(4)], [1, 3, 6, 11], [1, 3, 6, partner(11)]])
    assert torch.equal(y[y.isfinite()], plain[y.isfinite()])


def test_a_result_is_as_close_as_the_formula(rung):
    """Ours rounds a product less than the formula: the multiply-add has all its digits."""
    q, k = query_and_key(torch.float32, tokens=100, size=128)
    cos, sin, _ = angles(torch.arange(100), 128, dtype=torch.float32)
    exact = scratchnet.rope(q.double(), k.double(), cos.double(), sin.double())[0]
    half = lambda x: torch.cat((-x[..., 64:], x[..., :64]), -1)
    own = (q * cos + half(q) * sin - exact).abs().max()
    bound = TIMES_TORCH * own + ULPS * torch.finfo(torch.float32).eps * exact.abs().max()
    assert (scratchnet.rope(q, k, cos, sin)[0] - exact).abs().max() <= bound

"""What is special to scatter_add and index_add: expanded indices, sources that are too large, sums that depend on no thread."""

import pytest
import torch
from cases import TRITON, rungs

import scratchnet
from scratchnet import index_add, scatter_add

BACKENDS = (*rungs("scatter_add"), "numpy", "reference", None, TRITON)


def judged(ours, theirs, *leaves, **exact):
    """Both on fresh leaves, values and gradients equal."""
    results = []
    for call in (ours, theirs):
        fresh = [t.clone().requires_grad_() for t in leaves]
        y = call(*fresh)
        results.append(
            (y.detach(), *torch.autograd.grad(y, fresh, torch.linspace(-1, 1, y.numel()).reshape(y.shape).to(y.dtype)))
        )
    torch.testing.assert_close(*results, **exact)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "shape, dim, n", [((5, 7), 0, 11), ((5, 7), 1, 4), ((3, 5, 2), 1, 9), ((6, 1), 0, 8), ((4,), 0, 6)], ids=str
)
def test_an_expanded_index_adds_slices(shape, dim, n, backend):
    """scatter_add of an index that is one vector seen from every column, index_add of that vector: the same values."""
    x, source = torch.randn(shape, dtype=torch.float64), list(shape)
    source[dim] = n
    src, index = torch.randn(source, dtype=torch.float64), torch.randint(shape[dim], (n,))
    view = [1] * len(shape)
    view[dim] = n
    wide = index.view(view).expand(source)
    theirs = lambda a, b: torch.scatter_add(a, dim, wide, b)
    with scratchnet.backend(backend):
        judged(lambda a, b: scatter_add(a, dim, wide, b), theirs, x, src)
        judged(lambda a, b: scatter_add(a, dim, wide.contiguous().int(), b), theirs, x, src)
        judged(lambda a, b: index_add(a, dim - len(shape), index, b, alpha=-2), lambda a, b: theirs(a, -2 * b), x, src)
    assert scatter_add(x, dim, wide, src).is_contiguous()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_larger_source_is_not_read_and_gets_zeros(backend):
    """torch takes it too, but has a gradient only for a source of the shape of the index."""
    x, index, src = torch.zeros(2, 4), torch.tensor([[1, 1], [0, 1]]), torch.full((3, 3), float("nan"))
    src[:2, :2] = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    src.requires_grad_()
    with scratchnet.backend(backend):
        y = scatter_add(x, 0, index, src)
        y.backward(torch.arange(8.0).view(2, 4))
    assert torch.equal(y, torch.tensor([[4.0, 0, 0, 0], [1.0, 10.0, 0, 0]]))
    assert torch.equal(src.grad, torch.tensor([[4.0, 5.0, 0], [0.0, 5.0, 0], [0, 0, 0]]))


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
@pytest.mark.parametrize("backend", rungs("scatter_add"))
def test_sixteen_bit_sums_are_rounded_once(backend, dtype):
    """1 + 2,048 sixteenths is 129: in 16 bits, a sixteenth is lost from 16 (bfloat16) or 128 (float16) on."""
    x, src, index = torch.ones(3, 2, dtype=dtype), torch.full((2048, 2), 2.0**-4, dtype=dtype), torch.ones(2048, 2).long()
    with scratchnet.backend(backend):
        results = (
            scatter_add(x, 0, index, src),
            index_add(x, 0, index[:, 0], src),
            scatter_add(x.t().contiguous(), 1, index.t(), src.t()).t(),
        )
    for y in results:
        assert torch.equal(y, torch.tensor([[1, 1], [129, 129], [1, 1]], dtype=dtype))


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
def test_the_same_bits_for_any_number_of_threads(dtype):
    """One row takes a third of all; results above the size from which they are written past the cache."""
    x, src, index = torch.randn(3000, 1200, dtype=dtype), torch.randn(4000, 1200, dtype=dtype), torch.randint(3000, (4000,))
    index[:1300] = 7
    calls = (
        lambda: index_add(x, 0, index, src),
        lambda: scatter_add(x, 0, index.unsqueeze(1).expand_as(src).contiguous(), src),
        lambda: scatter_add(x[:500], 1, torch.randint(1200, (500, 900), generator=torch.Generator().manual_seed(0)), src[:500]),
    )
    before = torch.get_num_threads()
    try:
        with scratchnet.backend("cpp"):
            results = [torch.set_num_threads(count) or [call() for call in calls] for count in (1, 2, 3)]
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=0)
    assert (results[0][0] - x)[7].abs().max() > 0


def test_what_is_torchs_own():
    x, index, src = torch.zeros(4, 3), torch.tensor([1, 1]), torch.ones(2, 3)
    out = torch.empty(4, 3)
    assert index_add(x, 0, index, src, out=out) is out and torch.equal(out, torch.index_add(x, 0, index, src))
    assert torch.equal(
        index_add(x.long(), 0, index, src.long(), alpha=3), torch.index_add(x.long(), 0, index, src.long(), alpha=3)
    )
    wide = index.unsqueeze(1).expand(2, 3)
    assert scatter_add(x, 0, wide, src, out=out) is out
    assert torch.equal(scatter_add(x.cfloat(), 0, wide, src.cfloat()), torch.scatter_add(x.cfloat(), 0, wide, src.cfloat()))
    assert torch.equal(index_add(torch.zeros(0, 3), 0, index[:1], src[:1]), torch.zeros(0, 3))  # torch looks at no entry


@pytest.mark.parametrize("rung", (1, 2, 3, 4))
def test_the_raw_kernels_find_an_index_out_of_range(rung):
    kernels, x, src = torch.ops.scratchnet, torch.zeros(4, 3), torch.ones(2, 3)
    for bad in (-1, 4):
        index = torch.tensor([0, bad])
        with pytest.raises(IndexError, match=r"index_add\(\): index out of range"):
            kernels.index_add_forward(x, src, index, rung)
        with pytest.raises(IndexError, match=r"index_add\(\): index out of range"):
            kernels.index_add_backward(x, index, rung)
        with pytest.raises(IndexError, match=r"scatter_add\(\): index out of range"):
            kernels.scatter_add_forward(x, src, index.unsqueeze(1).expand(2, 3), 0, rung)
    assert torch.equal(x, torch.zeros(4, 3))

"""What is special to gather and embedding: layouts, options, index errors, and sums that do not depend on the threads."""

import pytest
import torch
import torch.nn.functional as F
from cases import rungs

import scratchnet
from scratchnet.functions.gather import embedding, gather
from scratchnet.functions.scatter import scatter_add

RUNGS = rungs("gather")
BACKENDS = (*RUNGS, "numpy", "reference")
INF, NAN = float("inf"), float("nan")

# shape of the input, dim, shape of the index
LAYOUTS = [
    ((300, 70), 0, (500, 70)),  # packed blocks of columns
    ((300, 70), 0, (9, 70)),  # few rows: nothing is packed
    ((300, 70), 0, (500, 20)),
    ((30, 70), 1, (30, 5000)),  # several pieces per line
    ((30, 70), 1, (11, 1)),
    ((30, 7), 0, (40, 1)),  # one column of many: a strided line
    ((3, 8, 5, 6), 1, (3, 9, 5, 6)),
    ((3, 8, 5, 6), 1, (2, 9, 4, 6)),
    ((3, 8, 5, 6), 1, (3, 9, 5, 3)),
    ((3, 8, 5, 6), 2, (3, 2, 7, 5)),
    ((3, 8, 5, 6), -1, (3, 2, 5, 7)),
    ((5, 1), 0, (8, 1)),
    ((), 0, ()),
    ((), -1, (3,)),
    ((5, 7), 0, (0, 7)),
    ((5, 4), 0, (0, 9)),
]


def reversed_axes(t):
    """The same tensor with its memory in the opposite order."""
    order = list(range(t.dim()))[::-1]
    return t.permute(order).contiguous().permute(order)


def every_other(t):
    """The same tensor as a slice of a larger one."""
    wide = t.new_zeros([2 * size for size in t.shape])
    view = wide[tuple(slice(None, None, 2) for _ in t.shape)]
    view.copy_(t)
    return view


@pytest.mark.parametrize("layout", (lambda t: t, reversed_axes, every_other), ids=("in order", "reversed", "sliced"))
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape, dim, indices", LAYOUTS, ids=str)
def test_gather_equals_torch(shape, dim, indices, backend, layout):
    x = torch.randn(shape, dtype=torch.float64)
    index = torch.randint(shape[dim] if shape else 1, indices)
    grad = torch.randn(indices, dtype=torch.float64)
    theirs = x.clone().requires_grad_()
    expected = torch.gather(theirs, dim, index)
    ours = layout(x).requires_grad_()
    with scratchnet.backend(backend):
        y = gather(ours, dim, layout(index))
        y.backward(layout(grad))
    expected.backward(grad)
    torch.testing.assert_close(y, expected, rtol=0, atol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("rows", (600, 300_000))
def test_a_table_that_no_cache_holds(rows):
    """Its entries are fetched rows ahead, from packed blocks of columns and, for few rows, in place."""
    table, columns = 300_007, 17
    x, index = torch.randn(table, columns, requires_grad=True), torch.randint(table, (rows, columns))
    grad = torch.randn(rows, columns)
    (expected,) = torch.autograd.grad(torch.gather(x, 0, index), x, grad)
    for threads in (1, 3):
        torch.set_num_threads(threads)
        with scratchnet.backend("cpp"):
            y = gather(x, 0, index)
            assert torch.equal(y, torch.gather(x, 0, index))
            torch.testing.assert_close(torch.autograd.grad(y, x, grad)[0], expected)
    index[rows - 1, 3] = table
    with scratchnet.backend("cpp"), pytest.raises(RuntimeError, match="out of"):
        gather(x, 0, index)


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16, torch.float16), ids=str)
@pytest.mark.parametrize(
    "shape, dim, indices",
    (
        ((90_001, 19), 0, (30_000, 19)),
        ((90_001, 19), 0, (50, 19)),  # most bins stay empty
        ((2, 90_001, 9), 1, (2, 400, 7)),  # two lines, and columns that nothing is added to
        ((1_100_003, 3), 0, (9_000, 3)),  # bins of more rows
        ((70_001, 2), 0, (281_000, 2)),  # too long for bins
    ),
    ids=str,
)
def test_sums_of_a_tall_table_have_the_bits_of_the_naive_loop(shape, dim, indices, dtype):
    """On any number of threads, and where one bin gets much of everything."""
    index = torch.randint(shape[dim], indices)
    index.view(-1)[::3] %= 5
    index.view(-1)[7::11] = shape[dim] - 1
    x, src, results = torch.randn(shape).to(dtype).requires_grad_(), torch.randn(indices).to(dtype), []
    for backend, threads in (("cpp:1", 1), ("cpp", 1), ("cpp", 2), ("cpp", 3)):
        torch.set_num_threads(threads)
        with scratchnet.backend(backend):
            (dx,) = torch.autograd.grad(gather(x, dim, index), x, src)
            results.append((dx, scatter_add(x.detach(), dim, index, src)))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", (torch.uint8, torch.int64, torch.bool, torch.complex64))
def test_gather_takes_every_dtype(dtype):
    x, index = torch.tensor([[0, 1], [2, 3]]).to(dtype), torch.tensor([[1, 0], [0, 0]])
    assert torch.equal(gather(x, 0, index), torch.gather(x, 0, index))


def test_gather_takes_int32_and_torch_options():
    x, index = torch.randn(4, 5, requires_grad=True), torch.tensor([[3, 0], [1, 1]])
    assert torch.equal(gather(x, 1, index.int()), torch.gather(x, 1, index))
    (sparse,) = torch.autograd.grad(gather(x, 0, index, sparse_grad=True).sum(), x)
    (dense,) = torch.autograd.grad(gather(x, 0, index).sum(), x)
    assert sparse.is_sparse and torch.equal(sparse.to_dense(), dense)
    out = torch.empty(2, 2)
    assert gather(x.detach(), 0, index, out=out) is out
    assert torch.equal(out, torch.gather(x.detach(), 0, index))


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
@pytest.mark.parametrize("backend", RUNGS)
def test_sixteen_bit_gradients_are_summed_in_float32(backend, dtype):
    """4,096 ones in one place: a 16-bit sum stops growing at 256 (bfloat16) or 2,048 (float16)."""
    x, w = torch.zeros(3, 2, dtype=dtype, requires_grad=True), torch.zeros(3, 2, dtype=dtype, requires_grad=True)
    index = torch.ones(4096, 2, dtype=torch.int64)
    with scratchnet.backend(backend):
        gather(x, 0, index).sum().backward()
        embedding(index[:, 0], w).sum().backward()
        row = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
        gather(row, 1, index.t()).sum().backward()
    expected = torch.tensor([[0, 0], [4096, 4096], [0, 0]], dtype=dtype)
    for grad in (x.grad, w.grad, row.grad.t()):
        assert torch.equal(grad, expected)


@pytest.mark.parametrize("backend", RUNGS)
def test_special_values_pass_through(backend):
    index = torch.tensor([0, 0, 1, 2])
    x = torch.tensor([NAN, INF, -0.0, 1.0], requires_grad=True)
    grad = torch.tensor([INF, -INF, NAN, 0.0])
    with scratchnet.backend(backend):
        y = gather(x, 0, index)
        y.backward(grad)
    torch.testing.assert_close(y, torch.tensor([NAN, NAN, INF, -0.0]), equal_nan=True)
    torch.testing.assert_close(x.grad, torch.tensor([NAN, NAN, 0.0, 0.0]), equal_nan=True)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
def test_the_same_bits_for_any_number_of_threads(dtype):
    """Sizes above the threshold from which results are written past the cache."""
    x, w = torch.randn(1500, 1600, dtype=dtype), torch.randn(2000, 1200, dtype=dtype)
    index, tokens = torch.randint(1500, (1400, 1600)), torch.randint(2000, (3000,))
    tokens[:1000] = 7  # one row takes a third of all

    def run():
        results = []
        for function, leaf in (
            (lambda t: gather(t, 0, index), x),
            (lambda t: gather(t, 1, index[:, :1400]), x[:1400]),
            (lambda t: embedding(tokens, t, padding_idx=3, scale_grad_by_freq=True), w),
        ):
            leaf = leaf.clone().requires_grad_()
            y = function(leaf)
            y.backward(torch.linspace(-1, 1, y.numel()).reshape(y.shape).to(dtype))
            results += [y.detach(), leaf.grad]
        return results

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = run()
        torch.set_num_threads(2)
        together = run()
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(alone, together, strict=True):
        assert torch.equal(one, two)
    assert torch.equal(alone[0], torch.gather(x, 0, index))
    assert torch.equal(alone[4], F.embedding(tokens, w))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", ((), (9,), (4, 5), (0,), (2, 0)), ids=str)
@pytest.mark.parametrize("columns", (1, 33, 300))
@pytest.mark.parametrize("padding, by_count", ((None, False), (1, False), (-1, True), (0, True)))
def test_embedding_equals_torch(shape, columns, padding, by_count, backend):
    index = torch.randint(6, shape, dtype=torch.int32)
    w = torch.randn(columns, 6, dtype=torch.float64).t().requires_grad_()
    theirs = w.detach().clone().requires_grad_()
    expected = F.embedding(index, theirs, padding, scale_grad_by_freq=by_count)
    with scratchnet.backend(backend):
        y = embedding(index, w, padding, scale_grad_by_freq=by_count)
        y.backward(torch.ones(()).double().expand(y.shape))
    expected.backward(torch.ones_like(expected))
    torch.testing.assert_close(y, expected, rtol=0, atol=0)
    torch.testing.assert_close(w.grad, theirs.grad, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("backend", ("cpp", "numpy"))
@pytest.mark.parametrize("by_count", (False, True))
def test_embedding_has_a_second_derivative(by_count, backend):
    """dweight is linear in grad: d(sum(dweight^2) / 2)/dgrad looks dweight up again. (torch's own forgets the counts here.)"""
    index, grad = torch.tensor([0, 2, 2]), torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    w = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    with scratchnet.backend(backend):
        y = embedding(index, w, 0, scale_grad_by_freq=by_count)
        (dw,) = torch.autograd.grad(y, w, grad, create_graph=True)
        (second,) = torch.autograd.grad((dw**2).sum() / 2, grad)
    count = 2 if by_count else 1
    row = (grad[1] + grad[2]).detach() / count
    torch.testing.assert_close(dw.detach(), torch.stack([0 * row, 0 * row, row]))
    torch.testing.assert_close(second, torch.stack([0 * row, row / count, row / count]))


@pytest.mark.parametrize("norm_type", (1.0, 2.0, INF))
def test_embedding_max_norm_shrinks_the_rows_in_use(norm_type):
    ours, index = torch.randn(5, 4) * 3, torch.tensor([[0, 3], [3, 4]])
    theirs = ours.clone()
    y, expected = embedding(index, ours, max_norm=1.5, norm_type=norm_type), F.embedding(index, theirs, None, 1.5, norm_type)
    assert torch.equal(y, expected) and torch.equal(ours, theirs)


@pytest.mark.parametrize("backend", ("cpp", "reference", None))
def test_embedding_max_norm_takes_no_part_in_derivatives(backend):
    """torch renormalises the table without its tangent: under forward AD, and under a transform of reverse mode."""
    index, tangent = torch.tensor([1, 2, 1]), torch.randn(4, 3)

    def results(call):
        table = lambda: torch.arange(12.0).reshape(4, 3)
        function = lambda w: call(index, w, max_norm=1.0)
        dual = torch.autograd.forward_ad
        with dual.dual_level():
            eager = dual.unpack_dual(function(dual.make_dual(table(), tangent)))
        changed = table()
        jvp = torch.func.jvp(function, (changed,), (tangent,))
        return [*eager, *jvp, changed, torch.func.grad(lambda w: function(w).square().sum())(table())]

    with scratchnet.backend(backend):
        torch.testing.assert_close(results(embedding), results(F.embedding), rtol=0, atol=0)


def test_embedding_sparse_gradient():
    index, w, theirs = torch.tensor([1, 1, 0]), torch.randn(3, 2, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
    embedding(index, w, padding_idx=0, sparse=True).sum().backward()
    F.embedding(index, theirs, padding_idx=0, sparse=True).sum().backward()
    assert w.grad.is_sparse and torch.equal(w.grad.to_dense(), theirs.grad.to_dense())
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse"):
        embedding(index, w, scale_grad_by_freq=True, sparse=True).sum().backward()


X, TABLE, ONE = torch.arange(20.0).reshape(4, 5), torch.ones(4, 3), torch.zeros(1, dtype=torch.int64)
WRONG = [
    (lambda: gather(X, 0, torch.tensor([[0, 1], [0, 4]])), RuntimeError, r"4 is out of .* 0 with size 4.*\(1, 1\)"),
    (lambda: gather(X, -1, torch.tensor([[0], [5]])), RuntimeError, r"5 is out of bounds for dim.* 1 with size 5.*\(1, 0\)"),
    (lambda: gather(X, 0, torch.tensor([[0, -1]])), RuntimeError, "index -1 is out.*from 0 to 3; negative indices do not"),
    (lambda: gather(X.long(), 0, torch.tensor([[7]])), RuntimeError, "'index': index 7 is out of bounds.*position"),
    (lambda: gather(torch.tensor(1.0), 0, torch.tensor(1)), RuntimeError, r"index 1 is out of bounds.*position \(\)"),
    (lambda: gather(X, 0, ONE), RuntimeError, "'index': Index tensor must have the same number of dimensions"),
    (lambda: gather(X, 0, torch.zeros(2, 6).long()), RuntimeError, "Size does not match at dimension 1 expected index"),
    (lambda: gather(X, 0, torch.zeros(2, 3)), RuntimeError, "'index'.*Expected dtype int32/int64 for index, got torch.float32"),
    (lambda: gather(X, 2, torch.zeros(2, 3).long()), IndexError, "'dim': Dimension out of range"),
    (lambda: gather(X, 1.0, torch.zeros(2, 3).long()), TypeError, "'dim': must be int, not float"),
    (lambda: gather(X, 0, [[0]]), TypeError, "'index': must be Tensor, not list"),
    (lambda: gather([[1.0]], 0, ONE), TypeError, "'input': must be Tensor, not list"),
    (lambda: embedding(torch.tensor([[0, 1], [4, 0]]), TABLE), IndexError, r"range in self: 4.*4 rows.*\(1, 0\).*from 0 to 3"),
    (lambda: embedding(torch.tensor(-2), TABLE), IndexError, "index out of range in self: -2.*negative indices"),
    (lambda: embedding(torch.tensor([1, 4]), TABLE, max_norm=0.5), IndexError, r"index out of range in self: 4.*\(1,\)"),
    (lambda: embedding(torch.tensor([4]), TABLE, sparse=True), IndexError, "index out of range in self: 4"),
    (lambda: embedding(torch.tensor([0.5]), TABLE), RuntimeError, "argument #1 'indices' to have one of .* torch.float32"),
    (lambda: embedding(TABLE, ONE), RuntimeError, "'weight' must be 2-D"),
    (lambda: embedding(ONE, TABLE, padding_idx=4), AssertionError, "Padding_idx must be within .*, from -4 to 3, got 4"),
    (lambda: embedding(ONE, TABLE, padding_idx=-5), AssertionError, "Padding_idx must be within num_embeddings"),
    (lambda: embedding([0], TABLE), TypeError, "'input': must be Tensor, not list"),
]  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("call, error, words", WRONG, ids=[f"{e.__name__}-{w[:40]}" for _, e, w in WRONG])
def test_wrong_calls_say_what_to_fix(call, error, words, backend):
    with scratchnet.backend(backend), pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).startswith(("gather(): argument '", "embedding(): argument '"))
    assert torch.equal(X, torch.arange(20.0).reshape(4, 5)) and torch.equal(TABLE, torch.ones(4, 3))


@pytest.mark.parametrize("rung", range(1, len(RUNGS) + 1))
def test_the_raw_backward_finds_an_index_out_of_range(rung):
    kernels, grad, bad = torch.ops.scratchnet, torch.ones(2, 3), torch.tensor([[0, 1, 2], [4, 0, 0]])
    for dim in (0, 1):
        with pytest.raises(IndexError, match="gather\\(\\): index out of range"):
            kernels.gather_backward(grad, [4, 4], bad, dim, rung)
    with pytest.raises(IndexError, match="embedding\\(\\): index out of range"):
        kernels.embedding_backward(torch.ones(2, 3, 5), bad, 4, -1, False, rung)
    for beyond in (-1, 100_000):  # a table so tall that its sums go through bins
        last = torch.zeros(9, 8, dtype=torch.int64)
        last[8, 7] = beyond
        with pytest.raises(IndexError, match="gather\\(\\): index out of range"):
            kernels.gather_backward(torch.ones(9, 8), [100_000, 8], last, 0, rung)

"""What is special to matmul and linear: tile and block edges, layouts, NaN and infinity, k = 0, threads, ranks, errors."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import TRITON, rungs
from torch.utils._python_dispatch import TorchDispatchMode

import scratchnet
from scratchnet.functions.matmul import bmm, linear, matmul, mm

RUNGS = (*rungs("matmul"), TRITON)
ENDS = ("cpp:1", "cpp", TRITON)  # for what the rungs between them share with these
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
ACTIVATIONS = {
    None: lambda z: z,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
}


def assert_as_exact(ours, torchs, exact, ulps=2, scale=0.0):
    """At most twice torch's error plus a few units in the last place of the largest result, or of `scale`, from `exact`."""
    assert ours.shape == torchs.shape and ours.dtype == torchs.dtype
    ours, torchs, eps = ours.detach().double().numpy(), torchs.detach().double().numpy(), torch.finfo(ours.dtype).eps
    bound = 2 * abs(torchs - exact).max() + ulps * eps * max(abs(exact).max(), scale)
    error = abs(ours - exact).max()
    assert error <= bound, f"error {error:.3g}, bound {bound:.3g}"


class Seen(TorchDispatchMode):
    """Which operators of ours ran while it was active, by name."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "scratchnet":
            self.names.append(function._opname)
        return function(*args, **kwargs or {})


def wide(*tensors):
    """Wider than float64, which is itself under test here."""
    return [t.detach().double().numpy().astype(np.longdouble) for t in tensors]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize(
    "m, k, n", [(1, 1030, 70), (4, 33, 7), (5, 513, 65), (7, 129, 16), (197, 31, 9), (30, 1030, 1), (13, 520, 1030)]
)
def test_sizes_around_the_edges_of_tiles_and_blocks(m, k, n, rung, dtype):
    if rung == "triton" and m * k * n > 1e6:
        pytest.skip("the interpreter is 10,000 times slower")
    a, b, grad = (torch.randn(shape).to(dtype) for shape in ((m, k), (k, n), (m, n)))
    leaves = [t.clone().requires_grad_() for t in (a, b)]
    with scratchnet.backend(rung):
        y = matmul(*leaves)
        da, db = torch.autograd.grad(y, leaves, grad)
    wide_a, wide_b, wide_grad = wide(a, b, grad)
    assert_as_exact(y, a @ b, wide_a @ wide_b)
    assert_as_exact(da, grad @ b.T, wide_grad @ wide_b.T)
    assert_as_exact(db, a.T @ grad, wide_a.T @ wide_grad)


@pytest.mark.parametrize("m", [2, 7, 70])
def test_every_layout_gives_the_same_bits(m):
    k, n = 517, 70
    a, b = torch.randn(m, k), torch.randn(k, n)
    wide = torch.zeros(3 * m, 2 * k)
    wide[::3, ::2] = a
    layouts_a = (a, a.T.contiguous().T, wide[::3, ::2])
    layouts_b = (b, torch.cat([b, b], 1)[:, :n], torch.stack([b, b], 2)[..., 0])
    with scratchnet.backend("cpp"):
        expected = matmul(a, b)
        for x, y in itertools.product(layouts_a, layouts_b):
            assert torch.equal(matmul(x, y), expected)
        transposed = matmul(a, b.T.contiguous().T)  # few rows: inner products, which sum in another order
    torch.testing.assert_close(transposed, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("columns", (1057, 50_257))
@pytest.mark.parametrize("rows", (6, 7, 12, 13, 32, 33, 48, 49, 56))
def test_rows_around_the_limits_of_each_way_to_read_b(rows, columns):
    """In place, as inner products, or packed by its first tile while the others fetch the next; 773 terms, four blocks."""
    torch.manual_seed(0)
    a, b = torch.randn(rows, 773), torch.randn(773, columns)
    exact = a.double() @ b.double()
    with scratchnet.backend("cpp"):
        for right in (b, b.T.contiguous().T):
            assert_as_exact(matmul(a, right), a @ right, exact.numpy())


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("columns", (1, 2, 4, 5, 8, 9))
def test_columns_around_the_limits_of_inner_products(columns, dtype):
    """A few columns are copied into order along the terms, the many rows are read where they lie; 4,133 terms, two chains."""
    torch.manual_seed(0)
    a, b = torch.randn(257, 4133).to(dtype), torch.randn(4133, columns).to(dtype)
    exact = np.matmul(*wide(a, b))
    with scratchnet.backend("cpp"):
        for right in (b, b.T.contiguous().T, torch.stack([b, b], 2)[..., 1]):
            assert_as_exact(matmul(a, right), a @ right, exact)
            assert_as_exact(matmul(a[:, None], right), a[:, None] @ right, exact[:, None])  # one row, of each of a batch


@pytest.mark.parametrize("threads", (1, 3))
def test_one_row_and_few_columns_at_a_vocabulary(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    hidden, head = torch.randn(3, 768), torch.randn(50_257, 768)
    across = head.T.contiguous()
    exact = (head.double() @ hidden.double().T).numpy()
    with scratchnet.backend("cpp"):
        assert_as_exact(matmul(head, hidden.T), head @ hidden.T, exact)
        assert_as_exact(matmul(hidden[:1], across), hidden[:1] @ across, exact.T[:1])


def test_repeated_rows_and_batches_are_read_in_place():
    row, b = torch.randn(1, 9), torch.randn(2, 1, 9, 5)
    with scratchnet.backend("cpp"):
        torch.testing.assert_close(matmul(row.expand(7, 9), b[0, 0]), row.expand(7, 9) @ b[0, 0])
        a = torch.randn(1, 3, 4, 9)
        torch.testing.assert_close(matmul(a, b), a @ b)
        leaf = torch.randn(6, 9, requires_grad=True)
        (grad,) = torch.autograd.grad(matmul(leaf, b[0, 0]).sum(), leaf)  # a gradient with stride 0
        torch.testing.assert_close(grad, b[0, 0].sum(1).expand(6, 9))


SHAPES = [
    ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)), ((0, 2, 3), (3, 4)),
    ((2, 0), (0, 3)), ((4, 2, 0), (4, 0, 3)), ((0, 3), (3, 4)), ((2, 3), (3, 0)), ((5, 2, 3), (1, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("rung", ENDS)
@pytest.mark.parametrize("shape_a, shape_b", SHAPES)
def test_ranks_and_broadcasting(shape_a, shape_b, rung):
    leaves = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in (shape_a, shape_b)]
    expected = torch.matmul(*leaves)
    grad = torch.randn_like(expected)
    with scratchnet.backend(rung):
        y = matmul(*leaves)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(torch.autograd.grad(y, leaves, grad), torch.autograd.grad(expected, leaves, grad))


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("m, n", [(3, 5), (8, 70)])
def test_nan_and_infinity_stay_in_their_rows_and_columns(m, n, rung):
    a, b = torch.randn(m, 600), torch.randn(600, n)
    a[0, 3], a[m - 1, 599], b[4, n - 1], b[5, 0] = float("nan"), float("inf"), float("-inf"), float("inf")
    a[1, 5] = 0  # 0 * inf = nan
    with scratchnet.backend(rung):
        for x, y in ((a, b), (a, b.T.contiguous().T), (a.T.contiguous().T, b)):
            torch.testing.assert_close(matmul(x, y), a @ b, rtol=1e-4, atol=1e-3, equal_nan=True)
        relu = linear(a, b.T, activation="relu")
    torch.testing.assert_close(relu, torch.relu(a @ b), rtol=1e-4, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("rung", RUNGS)
def test_an_empty_sum_is_zero(rung):
    bias = torch.tensor([1.0, -2.0, 0.5])
    with scratchnet.backend(rung):
        assert torch.equal(matmul(torch.ones(70, 0), torch.ones(0, 65)), torch.zeros(70, 65))
        assert torch.equal(linear(torch.ones(2, 0), torch.ones(3, 0), bias), bias.expand(2, 3))
        assert torch.equal(linear(torch.ones(2, 0), torch.ones(3, 0), bias, "relu"), bias.relu().expand(2, 3))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("rung", ENDS)
@pytest.mark.parametrize(
    "rows, k, n, with_bias", [((3,), 9, 7, True), ((2, 5), 600, 70, True), ((), 17, 5, False), ((7,), 33, 1, True)]
)
def test_linear_with_its_activation(rows, k, n, with_bias, rung, dtype, activation):
    f = ACTIVATIONS[activation]

    def draw():
        leaves = [torch.randn(*rows, k), torch.randn(n, k) / 8] + [torch.randn(n)] * with_bias
        leaves = [t.to(dtype).requires_grad_() for t in leaves]
        grad = torch.randn(*rows, n).to(dtype)
        with scratchnet.backend(rung):
            y = linear(*leaves, activation=activation)
            grads = torch.autograd.grad(y, leaves, grad)
        exact_leaves = [t.detach().double().requires_grad_() for t in leaves]
        exact_y, torchs_y = f(F.linear(*exact_leaves)), f(F.linear(*leaves))
        exact_grads = torch.autograd.grad(exact_y, exact_leaves, grad.double())
        torchs_grads = torch.autograd.grad(torchs_y, leaves, grad)
        return zip((y, *grads), (torchs_y, *torchs_grads), (exact_y, *exact_grads), strict=True)

    # Torch's error measures what is possible; for a bias gradient of one number it may happen to be 0, hence eight draws.
    for draws in zip(*(draw() for _ in range(8 if n == 1 else 1)), strict=True):
        ours, torchs, exact = map(torch.stack, zip(*draws, strict=True))
        # The pre-activation is about 1, and GELU passes its rounding on even where its own value is small. For float64 there is
        # no wider judge with autograd: torch's own error counts as 0 there.
        assert_as_exact(ours, torchs, exact.detach().numpy(), ulps=10 if dtype == torch.float64 else 2, scale=1.0)


@pytest.mark.parametrize("rung", ENDS)
def test_the_stride_of_an_axis_of_size_1_means_nothing(rung):
    weight = torch.randn(5, 8)
    for sizes, strides in (
        ((2, 1, 8), (8, 16, 1)),
        ((2, 1, 8), (16, 3, 1)),
        ((1, 2, 8), (3, 8, 1)),
        ((3, 1, 2, 8), (16, 5, 8, 1)),
    ):
        x = torch.randn(200).as_strided(sizes, strides)
        leaves = x.detach().requires_grad_(), weight.clone().requires_grad_()
        with scratchnet.backend(rung):
            y = linear(*leaves)
            grads = torch.autograd.grad(y, leaves, torch.ones(1).expand_as(y))
        torch.testing.assert_close(y, x.contiguous() @ weight.T)
        torch.testing.assert_close(grads[0], weight.sum(0).expand_as(x))
        torch.testing.assert_close(grads[1], x.reshape(-1, 8).sum(0).expand_as(weight))


def test_gradients_only_where_asked():
    x, weight, bias = torch.randn(4, 3), torch.randn(5, 3, requires_grad=True), torch.randn(5)
    with scratchnet.backend("cpp"):
        y = linear(x, weight, bias, "gelu")
    y.sum().backward()
    assert x.grad is None and bias.grad is None
    expected = weight.detach().requires_grad_()
    F.gelu(F.linear(x, expected, bias)).sum().backward()
    torch.testing.assert_close(weight.grad, expected.grad)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("rung", rungs("matmul"))
def test_without_gradients_linear_writes_its_result_alone(rung, dtype):
    """The same bits as with them, but the kernel that writes no pre-activation; the operator that graphs hold does the same."""
    x, weight, bias = (torch.randn(shape).to(dtype).requires_grad_() for shape in ((9, 70), (67, 70), (67,)))
    for activation in ACTIVATIONS:
        with scratchnet.backend(rung), Seen() as seen:
            kept = linear(x, weight, bias, activation)
            with torch.no_grad():
                alone = linear(x, weight, bias, activation)
        assert seen.names == ["linear_forward", "linear_outputs"]
        assert torch.equal(alone, kept)
    with torch.no_grad(), Seen() as seen:
        torch.ops.scratchnet.linear(x, weight, bias, 2, 1)
    assert seen.names == ["linear_outputs"]
    assert torch.ops.scratchnet.linear_outputs(*(t.detach().to("meta") for t in (x, weight, bias)), 2, 1).shape == (9, 67)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("threads", (1, 3))
def test_its_result_alone_is_the_same_at_the_width_of_a_model(dtype, threads):
    torch.set_num_threads(threads)
    x, weight, bias = (torch.randn(shape).to(dtype).requires_grad_() for shape in ((257, 768), (3072, 768), (3072,)))
    for activation in ACTIVATIONS:
        kept = linear(x, weight, bias, activation)
        with torch.no_grad():
            assert torch.equal(linear(x, weight, bias, activation), kept)


def test_weight_and_bias_of_other_ranks():
    x, weight = torch.randn(2, 4, 3), torch.randn(3)
    with scratchnet.backend("cpp"):
        torch.testing.assert_close(linear(x, weight), x @ weight)
        torch.testing.assert_close(linear(x, weight, torch.tensor(2.0)), x @ weight + 2)
        repeated = linear(x, weight.expand(6, 3), torch.tensor([2.0]))
        torch.testing.assert_close(repeated, (x @ weight + 2)[..., None].expand(2, 4, 6))
        every_second = torch.randn(4, 4, 3)[::2, ::2]  # its rows are not evenly spaced
        torch.testing.assert_close(linear(every_second, weight.expand(2, 3)), F.linear(every_second, weight.expand(2, 3)))


@pytest.mark.parametrize("m, n", ((1, 64), (5, 7), (12, 33), (40, 50), (300, 70)))
def test_a_long_sum_is_a_sum_of_sums(m, n):
    """200,003 positive terms: summed in one chain of blocks they were off by up to 14 units in the last place, here by 4."""
    torch.manual_seed(0)
    a, b = torch.rand(m, 200_003), torch.rand(200_003, n)
    exact = a.double() @ b.double()
    with scratchnet.backend("cpp"):
        for left, right in ((a, b), (a.T.contiguous().T, b), (a, b.T.contiguous().T)):
            error = (matmul(left, right) - exact).abs().max()
            assert error <= 6 * torch.finfo(torch.float32).eps * exact.max()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rows", (1, 5, 40))
def test_a_long_sum_meets_its_bias_and_activation_once(rows, activation):
    x, weight, bias = torch.randn(rows, 9001) / 100, torch.randn(70, 9001), torch.randn(70)
    exact = ACTIVATIONS[activation](x.double() @ weight.double().T + bias.double())
    with scratchnet.backend("cpp"):
        torch.testing.assert_close(linear(x, weight, bias, activation).double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "shape_a, shape_b",
    [
        ((300, 1100), (1100, 200)),
        ((5, 3000), (3000, 100)),
        ((1, 3000), (3000, 500)),
        ((300, 1100), (1100, 3)),
        ((6, 90, 80), (6, 80, 70)),
        ((48, 96), (96, 96)),
        ((33, 768), (768, 300)),
    ],
)
def test_threads_do_not_change_a_bit(shape_a, shape_b):
    a, b = torch.randn(shape_a, requires_grad=True), torch.randn(shape_b, requires_grad=True)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with scratchnet.backend("cpp"):
            y = matmul(a, b)
            z = linear(a, b[0].detach().T if b.dim() > 2 else b.detach().T, activation="gelu")
            results.append((y, z, *torch.autograd.grad(y, (a, b), y)))
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_integers_complex_and_autocast_go_torchs_way():
    a, b = torch.randint(9, (3, 4)), torch.randint(9, (4, 5))
    x = torch.randn(3, 4, dtype=torch.complex64)
    with scratchnet.backend("cpp"):
        assert torch.equal(matmul(a, b), a @ b)
        torch.testing.assert_close(matmul(x, x.T), x @ x.T)
        x, weight = torch.randn(3, 4), torch.randn(5, 4)
        with torch.autocast("cpu", torch.bfloat16):
            ours, mixed, theirs = linear(x, weight), linear(x.bfloat16(), weight), F.linear(x, weight)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(mixed, ours)


def r(*shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype)


f64 = torch.float64
ERRORS = [
    (lambda: matmul(r(2, 3), r(4, 5)), r"matmul\(\).*'other'.*mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"),
    (lambda: matmul(r(2, 3), r(4, 3)), r"did you mean other.mT"),
    (lambda: matmul(r(), r(4)), r"'input'.*both arguments to matmul need to be at least 1D, but they are 0D and 1D"),
    (lambda: matmul(r(3), r(4)), r"inconsistent tensor size, expected tensor \[3\] and src \[4\]"),
    (lambda: matmul(r(2, 3), r(4)), r"size mismatch, got input \(2\), mat \(2x3\), vec \(4\)"),
    (lambda: matmul(r(2, 2, 3), r(2, 4, 5)), r"first two dimensions of batch2 tensor to be: \[2, 3\] but got: \[2, 4\]"),
    (lambda: matmul(r(2, 2, 3), r(3, 3, 5)), r"size of tensor a \(2\) must match the size of tensor b \(3\) at non-singleton"),
    (lambda: matmul(r(2, 3), r(3, 4, dtype=f64)), r"expected m1 and m2 to have the same dtype, but got: float != double"),
    (lambda: mm(r(3), r(3, 4)), r"mm\(\).*'input'.*self must be a matrix.*scratchnet.matmul"),
    (lambda: mm(r(2, 3), r(3)), r"mm\(\).*'mat2'.*mat2 must be a matrix"),
    (lambda: bmm(r(2, 3), r(3, 4)), r"bmm\(\).*batch1 must be a 3D tensor.*scratchnet.matmul"),
    (lambda: bmm(r(2, 2, 3), r(1, 3, 4)), r"to be: \[2, 3\] but got: \[1, 3\].*scratchnet.matmul broadcasts"),
    (lambda: linear(r(2, 3), r(4, 5)), r"linear\(\).*'input'.*\(2x3 and 5x4\).*in_features = 5.*last axis is 3"),
    (lambda: linear(r(2, 4), r(4, 5)), r"did you mean weight.T"),
    (lambda: linear(r(2, 3), r(4, 3), r(5)), r"'bias'.*expanded size of the tensor \(4\) must match the existing size \(5\)"),
    (lambda: linear(r(2, 3, dtype=f64), r(4, 3)), r"same dtype, but got: double != float.*input.float\(\)"),
    (lambda: linear(r(2, 3), r(2, 4, 3)), r"'weight'.*t\(\) expects a tensor with <= 2 dimensions, but self is 3D"),
    (lambda: linear(r(2, 3), r(4, 3, dtype=f64).to("meta").float()), r"on the same device, but got weight is on meta"),
]


@pytest.mark.parametrize("call, message", ERRORS)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_errors_of_other_types():
    with pytest.raises(TypeError, match=r"matmul\(\): argument 'other': must be Tensor, not list"):
        matmul(r(2, 3), [1.0])
    with pytest.raises(ValueError, match=r"linear\(\): argument 'activation': must be None, 'relu'.*got 'tanh'"):
        linear(r(2, 3), r(4, 3), activation="tanh")

"""More than 2^31 elements: 64-bit offsets, by value in the first rows, around element 2^31, and in the last rows.

Tensors are bfloat16. All but a few rows are alike, and their length is odd: whatever is read or written 2^31 or 2^32 elements
off lands in another column. A few rows are judged by torch in float64; each of the others must equal the first, bit for bit.
"""

import os
import tempfile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.graph import get_gradient_edge

import scratchnet
from scratchnet import _compiled
from scratchnet.nn import functional

pytestmark = [pytest.mark.slow, pytest.mark.skipif(_compiled.module is None, reason="needs the compiled kernels")]

ROWS, COLUMNS = 43_003, 50_257
SPECIAL = (1, 2**31 // COLUMNS - 1, 2**31 // COLUMNS, 2**31 // COLUMNS + 1, ROWS - 2, ROWS - 1)
KIND = {"dtype": torch.bfloat16}
EPS = torch.finfo(torch.bfloat16).eps
NEEDED = 13  # GiB: three tensors and what torch itself takes


@pytest.fixture(autouse=True)
def alone():
    """One of these tests at a time, even across processes, and only where there is enough memory."""
    fcntl = pytest.importorskip("fcntl")
    with open(Path(tempfile.gettempdir(), f"scratchnet-{os.getuid()}-large-tests.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        available = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable")) / 2**20
        if available < NEEDED:
            pytest.skip(f"needs {NEEDED} GiB of memory, {available:.0f} are free")
        with scratchnet.backend("cpp"):
            yield
        _compiled.module.release_kept_pages()


def row():
    return torch.randn(COLUMNS).to(**KIND)


def tall():
    """(ROWS, COLUMNS): the same row everywhere except in the special ones."""
    x = torch.empty(ROWS, COLUMNS, **KIND)
    x.copy_(row())
    for i in SPECIAL:
        x[i] = row()
    return x


def judge(actual, exact):
    """Rounded once, after an error of a few float32 roundings of the largest entry."""
    assert ((actual.double() - exact).abs() <= EPS * exact.abs() + 1e-5 * exact.abs().max()).all()


def check_rows(y, exact):
    """exact(i): row i in float64."""
    assert y.shape == (ROWS, COLUMNS) and y.dtype == torch.bfloat16
    for i in (0, *SPECIAL):
        judge(y[i], exact(i))
    for first in range(0, ROWS, 512):
        differ = (y[first : first + 512] != y[0]).any(1).nonzero().flatten() + first
        assert set(differ.tolist()) <= set(SPECIAL), f"rows {differ[:5].tolist()} are not the first one"


def exact_rows(function, x, grad):
    """Row i of function(x), and row i of its gradient, by torch in float64."""

    def at(i):
        leaf = x[i].detach().double().requires_grad_()
        y = function(leaf, i)
        return y.detach(), torch.autograd.grad(y, leaf, grad.double() if y.dim() else None)[0]

    rows = {i: at(i) for i in (0, *SPECIAL)}
    return lambda i: rows[i][0], lambda i: rows[i][1]


def test_gelu():
    x, grad = tall().requires_grad_(), row()
    output, gradient = exact_rows(lambda v, i: F.gelu(v), x, grad)
    y = functional.gelu(x)
    check_rows(y.detach(), output)
    edge = get_gradient_edge(y)
    del y  # the backward does not need it, and there is no room for it
    (dx,) = torch.autograd.grad(edge, x, grad.expand(ROWS, COLUMNS))
    check_rows(dx, gradient)


def test_layer_norm():
    x, grad, weight, bias = tall().requires_grad_(), row(), row().requires_grad_(), row().requires_grad_()
    affine = [p.detach().double() for p in (weight, bias)]
    output, gradient = exact_rows(lambda v, i: F.layer_norm(v, (COLUMNS,), *affine), x, grad)
    y = functional.layer_norm(x, (COLUMNS,), weight, bias)
    check_rows(y.detach(), output)
    edge = get_gradient_edge(y)
    del y
    dx, dweight, dbias = torch.autograd.grad(edge, (x, weight, bias), grad.expand(ROWS, COLUMNS))
    check_rows(dx, gradient)
    normalised = lambda i: F.layer_norm(x[i].detach().double(), (COLUMNS,))
    total = normalised(0) * (ROWS - len(SPECIAL)) + sum(map(normalised, SPECIAL))
    judge(dweight, grad.double() * total)
    judge(dbias, grad.double() * ROWS)


def test_cross_entropy():
    x = tall().requires_grad_()
    target = torch.full((ROWS,), 4)
    target[list(SPECIAL)] = torch.randint(COLUMNS, (len(SPECIAL),))
    target[-1] = COLUMNS - 1
    loss, gradient = exact_rows(lambda v, i: F.cross_entropy(v, target[i]), x, row())
    y = functional.cross_entropy(x, target, reduction="none")
    judge(y.detach(), torch.stack([loss(i if i in SPECIAL else 0) for i in range(ROWS)]))
    (dx,) = torch.autograd.grad(y, x, torch.ones((), **KIND).expand(ROWS))
    check_rows(dx, gradient)


def test_softmax():
    x, grad = tall().requires_grad_(), row()
    output, gradient = exact_rows(lambda v, i: torch.softmax(v, -1), x, grad)
    y = functional.softmax(x, -1)
    x.untyped_storage().resize_(0)  # the backward needs only y
    check_rows(y.detach(), output)
    (dx,) = torch.autograd.grad(y, x, grad.expand(ROWS, COLUMNS))
    rounded = y.detach()

    def from_saved(i):  # from y as it is saved, in 16 bits
        return rounded[i].double() * (grad.double() - (rounded[i].double() * grad.double()).sum())

    check_rows(dx, from_saved)
    for i in (0, *SPECIAL):
        assert (dx[i].double() - gradient(i)).abs().max() <= 2 * EPS * gradient(i).abs().max()


def test_softmax_along_the_first_axis():
    """Neighbours in memory belong to different rows; each class lies a little over 2^29 elements after the last one."""
    classes, width = 4, 2**29 + 12_345
    x = torch.empty(classes, width, **KIND)
    pattern = torch.randn(classes, 10_007).to(**KIND)
    for first in range(0, width, 10_007):
        x[:, first : first + 10_007] = pattern[:, : width - first]
    y = functional.softmax(x, 0)
    for first in (0, 2**29 - 300, 2**28, width - 600):
        judge(y[:, first : first + 600], x[:, first : first + 600].double().softmax(0))
    for first in range(0, width - 10_007, 10_007):
        assert torch.equal(y[:, first : first + 10_007], y[:, :10_007])


def test_gather():
    x = tall().requires_grad_()
    index = torch.randint(ROWS, (40, COLUMNS))
    index[: len(SPECIAL)] = torch.tensor(SPECIAL)[:, None]
    grad = torch.randint(-2, 3, index.shape).to(**KIND)
    y = scratchnet.gather(x, 0, index)
    assert torch.equal(y.detach(), torch.gather(x.detach(), 0, index))
    (dx,) = torch.autograd.grad(y, x, grad)
    del y
    assert torch.equal(torch.gather(dx, 0, index), expected_sums(index, grad))
    assert dx.count_nonzero() == nonzero_sums(index, grad)


def expected_sums(index, grad):
    """What each place of the index finds in dx: the sum of all gradients in its column that have the same index."""
    total = torch.zeros_like(grad)
    for k in range(len(index)):
        total += torch.where(index == index[k], grad[k], 0)
    return total


def nonzero_sums(index, grad):
    """How many elements of dx are not zero: each is counted where it first occurs."""
    first = torch.stack([(index[:k] != index[k]).all(0) for k in range(len(index))])
    return (first & (expected_sums(index, grad) != 0)).count_nonzero()


def test_embedding_with_a_large_table():
    weight = tall().requires_grad_()
    index = torch.cat([torch.randint(ROWS, (300,)), torch.tensor(SPECIAL * 2)])
    grad = torch.randint(-2, 3, (len(index), COLUMNS)).to(**KIND)
    y = functional.embedding(index, weight)
    assert torch.equal(y.detach(), weight.detach()[index])
    (dweight,) = torch.autograd.grad(y, weight, grad)
    del y
    rows, place = index.unique(return_inverse=True)
    sums = torch.zeros(len(rows), COLUMNS).index_add_(0, place, grad.float())
    assert torch.equal(dweight[rows].float(), sums)
    assert dweight.count_nonzero() == sums.count_nonzero()


def test_embedding_with_many_indices():
    weight = torch.randn(50, COLUMNS).to(**KIND).requires_grad_()
    index = torch.arange(ROWS) * 7 % 50
    grad = torch.randint(-2, 3, (COLUMNS,)).to(**KIND)
    y = functional.embedding(index, weight)
    for first in range(0, ROWS, 500):
        assert torch.equal(y.detach()[first : first + 500], weight.detach()[index[first : first + 500]])
    edge = get_gradient_edge(y)
    del y
    (dweight,) = torch.autograd.grad(edge, weight, grad.expand(ROWS, COLUMNS))
    counts = index.bincount(minlength=50)
    assert torch.equal(dweight, (counts[:, None] * grad.double()).to(**KIND))

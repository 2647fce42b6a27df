"""cross_entropy and its family: what the grid and torch's own samples do not reach."""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from cases import TRITON, assert_as_accurate, rungs

import scratchnet
from scratchnet.functions.cross_entropy import cross_entropy, linear_cross_entropy, log_softmax, logsumexp, softmax
from scratchnet.functions.dispatch import Kernel

INF, NAN = math.inf, math.nan
RUNGS = (*rungs("cross_entropy"), TRITON)
BACKENDS = ("cpp", "cpp:1", "reference", "numpy", TRITON)
ROWS = (
    (-INF, -INF, -INF, -INF),
    (INF, 0.0, 1.0, 2.0),
    (INF, INF, -INF, 0.0),
    (NAN, 0.0, INF, -INF),
    (NAN, NAN, NAN, NAN),
    (-INF, NAN, -INF, -INF),
    (-INF, 0.0, 1.0, -INF),
    (1e4, -1e4, 0.0, 1e4),
    (1e30, -1e30, 1e30, 0.0),
    (-3e38, -3e38, -3e38, -3e38),
)
every_backend = pytest.mark.parametrize("backend", BACKENDS)
every_backend_and_rung = pytest.mark.parametrize("backend", (*RUNGS, "reference", "numpy"))
every_layout = pytest.mark.parametrize("dim", (1, 0), ids=("rows in order", "strips of rows"))


def both(ours, own, *inputs, grad=None):
    """Value and gradients of ours and of torch's."""
    results = []
    for function in (ours, own):
        leaves = [t.detach().clone().requires_grad_() for t in inputs]
        y = function(*leaves)
        upstream = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape) if grad is None else grad
        results.append((y.detach(), *torch.autograd.grad(y, leaves, upstream)))
    return results


def assert_same(ours, own, *inputs, rtol=1e-5, atol=1e-6, **options):
    actual, expected = both(ours, own, *inputs, **options)
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=rtol, atol=atol, equal_nan=True)


def special(width: int) -> torch.Tensor:
    """ROWS, continued to the right so that whole registers and blocks are filled."""
    x = torch.tensor(ROWS)
    return torch.cat([x, x[:, -1:].expand(-1, width - 4)], dim=1)


@every_backend_and_rung
@every_layout
@pytest.mark.filterwarnings("ignore:All-NaN slice")  # NumPy's warning where Triton is interpreted
@pytest.mark.parametrize("width", (4, 40, 5000))
@pytest.mark.parametrize("name", ("softmax", "log_softmax", "logsumexp"))
def test_infinities_and_nan_are_torchs(name, width, dim, backend):
    x = special(width)
    if name == "logsumexp":
        x = x[:-2]  # where torch's own gradient, exp(x - y), is 1 for each of several equal maxima
    x = x if dim else x.T.contiguous()
    ours = {"softmax": softmax, "log_softmax": log_softmax, "logsumexp": logsumexp}[name]
    with scratchnet.backend(backend):
        assert_same(lambda t: ours(t, dim), lambda t: getattr(torch, name)(t.double(), dim).float(), x)


@every_backend_and_rung
@pytest.mark.parametrize("positions", (1, 3))
@pytest.mark.parametrize("smoothing", (0.0, 0.1))
@pytest.mark.parametrize("reduction", ("none", "sum"))
def test_infinities_and_nan_of_losses_are_torchs(reduction, smoothing, positions, backend):
    x = special(40).unsqueeze(-1).expand(-1, -1, positions)
    x = x.squeeze(-1) if positions == 1 else x
    options = {"reduction": reduction, "label_smoothing": smoothing}
    shape = (len(ROWS),) if positions == 1 else (len(ROWS), positions)
    with scratchnet.backend(backend):
        for target in (0, 1, 3, -100):
            index = torch.full(shape, target)
            assert_same(
                lambda t, i=index: cross_entropy(t, i, **options), lambda t, i=index: F.cross_entropy(t, i, **options), x
            )
        q = torch.zeros_like(x)
        q[:, 1] = 1
        assert_same(lambda t: cross_entropy(t, q, **options), lambda t: F.cross_entropy(t, q, **options), x)


@pytest.mark.parametrize("backend", RUNGS)
@pytest.mark.parametrize("positions", (1, 5))
@pytest.mark.parametrize("offset", (1e4, -1e4, 1e12))
def test_gradient_is_exact_for_large_logits(offset, positions, backend):
    """A float32 logsumexp of 10^4 has lost the digits of log(sum): its gradient is off by 5e-4; so has a double of 10^12."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(7, 300, positions, generator=generator) + offset).squeeze(-1)
    target = torch.randint(300, (7, positions), generator=generator).squeeze(-1)
    with scratchnet.backend(backend):
        (loss, dx), _ = both(lambda t: cross_entropy(t, target), lambda t: t.sum(), x, grad=torch.tensor(1.0))
    _, (exact, exact_dx) = both(
        lambda t: t.sum(), lambda t: F.cross_entropy(t, target), x.double(), grad=torch.tensor(1.0).double()
    )
    assert abs(loss.item() - exact.item()) <= 2e-6 * abs(exact.item())
    assert (dx - exact_dx).abs().max() <= 1e-6 * exact_dx.abs().max()


@pytest.mark.parametrize("backend", RUNGS)
@pytest.mark.parametrize("shape", ((3, 9001), (70, 130), (2, 45, 300), (2, 3, 517), (1, 1, 1)))
def test_every_combination_of_options(shape, backend):
    """Rows longer than a block, more positions than a strip; the whole product of options against torch in float64."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    index = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    index[0] = -100
    q = torch.rand(shape, dtype=torch.float64, generator=generator)
    weight = torch.rand(shape[1], dtype=torch.float64, generator=generator) + 0.1
    with scratchnet.backend(backend):
        for target, w, e, r in itertools.product((index, q), (None, weight), (0.0, 0.3, 1.0), ("none", "mean", "sum")):
            options = {"weight": w, "label_smoothing": e, "reduction": r}
            assert_same(
                lambda t, target=target, options=options: cross_entropy(t, target, **options),
                lambda t, target=target, options=options: F.cross_entropy(t, target, **options),
                x,
                rtol=1e-11,
                atol=1e-13,
            )


@every_backend
def test_gradients_of_probabilities_and_class_weights(backend):
    generator = torch.Generator().manual_seed(2)
    x, q = (torch.randn(5, 4, 3, dtype=torch.float64, generator=generator) for _ in range(2))
    weight = torch.rand(4, dtype=torch.float64, generator=generator)
    index = torch.randint(4, (5, 3), generator=generator)
    with scratchnet.backend(backend):
        assert_same(
            lambda *t: cross_entropy(*t, label_smoothing=0.2), lambda *t: F.cross_entropy(*t, label_smoothing=0.2), x, q, weight
        )
        own = lambda a, w: -(F.log_softmax(a, 1) * F.one_hot(index, 4).mT * w[:, None]).sum() / w[index].sum()
        assert_same(lambda a, w: cross_entropy(a, index, w), own, x, weight)


@every_backend
@pytest.mark.parametrize("reduction", ("none", "mean", "sum"))
def test_small_forms(reduction, backend):
    """uint8 classes, one row without a batch axis, only ignored rows, no rows, no classes."""
    x = torch.randn(6, generator=torch.Generator().manual_seed(3))
    with scratchnet.backend(backend):
        options = {"reduction": reduction}
        classes = torch.tensor(2), torch.tensor([2]), torch.tensor(2, dtype=torch.uint8)
        for target, same in (*((t, classes[0]) for t in classes), (x.softmax(0), x.softmax(0))):
            assert_same(
                lambda t, target=target: cross_entropy(t, target, **options),
                lambda t, same=same: F.cross_entropy(t, same, **options),
                x,
            )
        bytes_ = torch.tensor([3, 255, 5], dtype=torch.uint8)
        ignored = {"reduction": reduction, "ignore_index": 255}
        logits = torch.stack([x, -x, 2 * x])
        assert_same(lambda t: cross_entropy(t, bytes_, **ignored), lambda t: F.cross_entropy(t, bytes_, **ignored), logits)
        for shape in ((0, 5), (2, 5, 0), (3, 0), (0, 0)):
            empty, target = torch.zeros(shape), torch.full((shape[0], *shape[2:]), -100)
            for to in (target, torch.zeros(shape)):
                torch.testing.assert_close(
                    cross_entropy(empty, to, reduction=reduction),
                    F.cross_entropy(empty, to, reduction=reduction),
                    equal_nan=True,
                )


def test_deprecated_flags_mean_what_they_mean_in_torch():
    x, target = torch.randn(3, 5), torch.tensor([1, 2, 0])
    for size_average, reduce in itertools.product((None, True, False), repeat=2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = F.cross_entropy(x, target, size_average=size_average, reduce=reduce)
            torch.testing.assert_close(cross_entropy(x, target, size_average=size_average, reduce=reduce), expected)
    with pytest.warns(UserWarning, match="reduction='sum'"):
        cross_entropy(x, target, size_average=False)


def test_dtypes_are_torchs():
    x, target, q = torch.randn(3, 5), torch.tensor([1, 2, 0]), torch.rand(3, 5)
    for logits, to, weight in (
        (x, q.double(), None),
        (x.bfloat16(), q, None),
        (x, q, torch.rand(5).double()),
        (x.half(), q.half(), None),
    ):
        ours, own = cross_entropy(logits, to, weight), F.cross_entropy(logits, to, weight)
        wide = (t if t is None or not t.is_floating_point() else t.double() for t in (logits, to, weight))
        assert_as_accurate(ours, own, F.cross_entropy(*wide))
    with torch.autocast("cpu", torch.bfloat16):
        assert cross_entropy(x.bfloat16(), target).dtype == F.cross_entropy(x.bfloat16(), target).dtype == torch.float32
        assert linear_cross_entropy(x, torch.randn(4, 5).bfloat16(), target).dtype == torch.float32
    assert softmax(torch.arange(3), 0, dtype=torch.float64).dtype == torch.float64
    torch.testing.assert_close(logsumexp(torch.arange(3), 0), torch.logsumexp(torch.arange(3), 0))
    x = torch.randn(2, 3, dtype=torch.complex64)
    for dim in (1, (0, 1)):
        with scratchnet.backend("cpp"):
            torch.testing.assert_close(logsumexp(x, dim), torch.logsumexp(x, dim))


LINEAR_OPTIONS = ({}, {"weight": True}, {"label_smoothing": 0.2}, {"ignore_index": 3}, {"probabilities": True})


@every_backend
@pytest.mark.parametrize("reduction", ("none", "mean", "sum"))
@pytest.mark.parametrize("options", LINEAR_OPTIONS, ids=str)
def test_linear_cross_entropy_over_several_chunks(options, reduction, backend):
    """600 rows are three chunks: each reduction, with any upstream gradient, gives the gradients of linear + cross_entropy."""
    options = dict(options, reduction=reduction)
    generator = torch.Generator().manual_seed(4)
    x, w, b = (torch.randn(s, dtype=torch.float64, generator=generator) for s in ((600, 7), (11, 7), (11,)))
    target = torch.randint(11, (600,), generator=generator)
    if options.pop("probabilities", False):
        target = torch.rand(600, 11, dtype=torch.float64, generator=generator)
    if options.get("weight"):
        options["weight"] = torch.rand(11, dtype=torch.float64, generator=generator)
    with scratchnet.backend(backend):
        for inputs in ((x, w, b), (x, w)):
            assert_same(
                lambda x, w, b=None: linear_cross_entropy(x, w, target, linear_bias=b, **options),
                lambda x, w, b=None: F.cross_entropy(F.linear(x, w, b), target, **options),
                *inputs,
                rtol=1e-10,
                atol=1e-12,
            )


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("reduction", ("mean", "sum"))
def test_linear_cross_entropy_makes_its_gradients_in_forward(reduction, dtype, monkeypatch):
    """The first backward scales them by the incoming gradient; a second one recomputes them."""
    pytest.importorskip("scratchnet._C", reason="needs the compiled kernels")
    inputs = [t.to(dtype).requires_grad_() for t in (torch.randn(300, 7), torch.randn(11, 7), torch.randn(11))]
    target = torch.randint(11, (300,))
    exact = [t.detach().double().requires_grad_() for t in inputs]
    wanted = torch.autograd.grad(3 * F.cross_entropy(F.linear(*exact), target, reduction=reduction), exact)
    with scratchnet.backend("cpp"):
        loss = linear_cross_entropy(inputs[0], inputs[1], target, linear_bias=inputs[2], reduction=reduction)
    made, calls = Kernel.backward, []
    monkeypatch.setattr(Kernel, "backward", lambda *args: calls.append("again") or made(*args))
    first = torch.autograd.grad(3 * loss, inputs, retain_graph=True)
    assert not calls
    second = torch.autograd.grad(3 * loss, inputs)
    assert calls == ["again"]
    for gradients in (first, second):
        torch.testing.assert_close([*gradients], [g.to(dtype) for g in wanted])


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16), ids=str)
def test_linear_cross_entropy_accumulates_wide(dtype):
    """16-bit weight gradients are summed in float32 and rounded once."""
    generator = torch.Generator().manual_seed(5)
    x, w = torch.randn(1000, 16, generator=generator).to(dtype), torch.randn(33, 16, generator=generator).to(dtype)
    target = torch.randint(33, (1000,), generator=generator)
    ours, _ = both(
        lambda x, w: linear_cross_entropy(x, w, target), lambda x, w: x.sum() + w.sum(), x, w, grad=torch.ones((), dtype=dtype)
    )
    _, own = both(
        lambda x, w: x.sum() + w.sum(),
        lambda x, w: F.cross_entropy(F.linear(x, w), target),
        x.double(),
        w.double(),
        grad=torch.ones((), dtype=torch.float64),
    )
    for a, e in zip(ours, own, strict=True):
        bound = torch.finfo(dtype).eps * e.abs() + 1e-6 * e.abs().max() + torch.finfo(dtype).smallest_normal
        assert a.dtype == dtype
        assert ((a.double() - e).abs() <= bound).all()


def test_linear_cross_entropy_with_more_axes_and_without_a_batch():
    generator = torch.Generator().manual_seed(6)
    x, w, b = (torch.randn(s, generator=generator) for s in ((4, 7), (5, 2, 3, 7), (5, 2, 3)))
    target = torch.randint(5, (4, 2, 3), generator=generator)
    own = F.linear_cross_entropy(x, w, target, linear_bias=b)
    torch.testing.assert_close(linear_cross_entropy(x, w, target, linear_bias=b), own)
    for to in (torch.tensor(2), torch.rand(5, generator=generator)):
        for reduction in ("none", "mean"):
            own = F.linear_cross_entropy(x[0], w[:, 0, 0], to, reduction=reduction)
            torch.testing.assert_close(linear_cross_entropy(x[0], w[:, 0, 0], to, reduction=reduction), own)


X, T = torch.randn(3, 5), torch.tensor([0, 1, 2])
WRONG = {
    "float classes": (lambda f: f(X, T.float()), "Long or Byte, but got Float"),
    "int32 classes": (lambda f: f(X, T.int()), r"but got Int.*|\.long\(\)"),
    "extra axis": (lambda f: f(X, T[:, None]), "multi-target not supported"),
    "batch": (lambda f: f(X, T[:2]), r"Expected input batch_size \(3\) to match target batch_size \(2\)"),
    "positions": (
        lambda f: f(X[..., None], torch.zeros(3, 2, dtype=torch.int64)),
        r"Expected target size \[3, 1\], got \[3, 2\]",
    ),
    "too large": (lambda f: f(X, T + 3), "Target 5 is out of bounds"),
    "negative": (lambda f: f(X, T - 1), "Target -1 is out of bounds"),
    "too large, positions": (lambda f: f(X[..., None], T[:, None] + 3), "Target 5 is out of bounds"),
    "no classes": (lambda f: f(X[:, :0], T), "Target 0 is out of bounds"),
    "integer probabilities": (lambda f: f(X, torch.zeros(3, 5, dtype=torch.int64)), "Expected floating point type for target"),
    "weight": (lambda f: f(X, T, X[0, :4]), "either for all 5 classes or no classes"),
    "weight of another dtype": (lambda f: f(X, T, X[0].double()), "expected scalar type Float but found Double"),
    "smoothing": (lambda f: f(X, T, label_smoothing=1.5), "between 0.0 and 1.0. Got: 1.5"),
    "reduction": (lambda f: f(X, T, reduction="avg"), "avg is not a valid value for reduction"),
    "ignored probabilities": (lambda f: f(X, X.softmax(1), ignore_index=1), "ignore_index is not supported"),
    "integer logits": (lambda f: f(T[:, None].expand(3, 5), T), "not implemented for 'Long'"),
    "list": (lambda f: f(X, [0, 1, 2]), "must be Tensor, not list"),
    "one row, two classes": (lambda f: f(X[0], T[:2]), "1D target must have size 1, but got target size: 2"),
}


@every_backend
@pytest.mark.parametrize("name", WRONG)
def test_errors_are_torchs(name, backend):
    call, words = WRONG[name]
    with pytest.raises(Exception) as own:
        call(F.cross_entropy)
    with scratchnet.backend(backend), pytest.raises(own.type, match=words) as ours:
        call(cross_entropy)
    assert own.match(words)
    assert str(ours.value).startswith("cross_entropy(): argument '")


def test_a_class_that_does_not_exist_is_located():
    message = r"Target 9 is out of bounds\. It stands at position \(1,\): with 5 classes it must be from 0 to 4"
    with pytest.raises(IndexError, match=message):
        cross_entropy(X, torch.tensor([0, 9, 1]))
    with pytest.raises(IndexError, match=message):
        linear_cross_entropy(torch.randn(3, 2), torch.randn(5, 2), torch.tensor([0, 9, 1]))
    with pytest.raises(RuntimeError, match=r"take target\.squeeze\(1\)"):
        cross_entropy(X, T[:, None])


@every_layout
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
def test_long_sums_keep_their_digits(dtype, dim):
    """100,000 classes: the error against float64 is at most twice torch's own."""
    x = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(7)).to(dtype)
    x = x if dim else x.T.contiguous()
    for ours, own in ((softmax, torch.softmax), (log_softmax, torch.log_softmax), (logsumexp, torch.logsumexp)):
        exact, scale = own(x.double(), dim), own(x.double(), dim).abs().max()
        error, torchs = ((f(x, dim).double() - exact).abs().max() for f in (ours, own))
        assert error <= 2 * torchs + 2 * torch.finfo(dtype).eps * scale


@pytest.mark.parametrize("classes", (1001, 5003))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
def test_rows_of_a_large_result_may_begin_anywhere(dtype, classes):
    """Its cache lines are written past the cache; what lies before the first and behind the last of a row is not."""
    x = torch.randn((1 << 23) // (classes * dtype.itemsize) + 1, classes, generator=torch.Generator().manual_seed(3)).to(dtype)
    few = slice(17, 17 + 100)
    for ours, own in ((softmax, torch.softmax), (log_softmax, torch.log_softmax)):
        y = ours(x, 1)
        assert torch.equal(y[few], ours(x[few], 1))
        exact, torchs = own(x.double(), 1), own(x, 1).double()
        bound = 2 * (torchs - exact).abs().max() + 2 * torch.finfo(dtype).eps * exact.abs().max()
        assert (y.double() - exact).abs().max() <= bound


@every_backend
def test_mean_over_no_weight_is_nan(backend):
    """All targets in a class of weight 0: torch divides 0 by 0, even where label smoothing leaves something to divide."""
    x, y = torch.randn(3, 4), torch.zeros(3, dtype=torch.int64)
    options = {"weight": torch.tensor([0.0, 1, 1, 1]), "label_smoothing": 0.1}
    assert F.cross_entropy(x, y, **options).isnan()
    with scratchnet.backend(backend):
        assert scratchnet.cross_entropy(x, y, **options).isnan()
        assert scratchnet.linear_cross_entropy(x, torch.randn(4, 4), y, **options).isnan()


@pytest.mark.parametrize("backend", ("cpp", "cpp:1", "cpp:2", "cpp:3"))
@pytest.mark.parametrize("positions", ((), (3,), (40,)))
@pytest.mark.parametrize("weighted", (False, True))
def test_an_infinite_incoming_gradient_or_weight_is_torchs(weighted, positions, backend):
    """inf times a share of 0 does not give NaN: dx of all classes but the target is infinite."""
    x, target = torch.randn(2, 5, *positions), torch.randint(5, (2, *positions))
    weight = torch.tensor([1.0, torch.inf, 0.5, 1.0, 2.0]) if weighted else None
    found = []
    for function, name in ((F.cross_entropy, None), (cross_entropy, backend)):
        leaf = x.clone().requires_grad_()
        with scratchnet.backend(name):
            loss = function(leaf, target, weight, reduction="none")
        found += torch.autograd.grad(loss, leaf, torch.full_like(loss, 1.0 if weighted else torch.inf))
    torch.testing.assert_close(found[1], found[0], equal_nan=True)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", ((1, 0), (3, 0), (2, 0, 4)))
def test_probabilities_of_no_classes(shape, backend):
    """An empty target has no memory: it must not be taken for class indices."""
    leaf = torch.empty(shape, requires_grad=True)
    with scratchnet.backend(backend):
        loss = cross_entropy(leaf, torch.empty(shape), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert loss.item() == 0 and gradient.shape == shape

"""Triton's softmax and cross-entropy beyond the common tests: long rows, chunks of classes, what is recompiled."""

import json
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from cases import assert_as_accurate
from torch.utils._python_dispatch import TorchDispatchMode

import scratchnet
from scratchnet import nn, optim
from scratchnet.functions.cross_entropy import cross_entropy, linear_cross_entropy, log_softmax, logsumexp, softmax

pytest.importorskip("triton", reason="needs Triton: pip install triton")

from scratchnet.kernels import online_softmax  # noqa: E402
from scratchnet.kernels.cross_entropy import fused_linear  # noqa: E402
from scratchnet.ops.cross_entropy import LossOptions  # noqa: E402

VOCABULARY = 262_144
FAMILY = {
    "softmax": (softmax, torch.softmax),
    "log_softmax": (log_softmax, torch.log_softmax),
    "logsumexp": (logsumexp, torch.logsumexp),
}


def with_gradients(call, *inputs, grad=None):
    """Value and gradients."""
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    y = call(*leaves)
    grad = torch.linspace(1, -2, y.numel()).reshape(y.shape) if grad is None else grad
    return y.detach(), *torch.autograd.grad(y, leaves, grad.to(y.dtype))


def assert_accurate(ours, own, *inputs):
    """Value and gradients against torch's in float64."""
    calls = (ours, inputs), (own, inputs), (own, [t.double() for t in inputs])
    for row in zip(*(with_gradients(call, *leaves) for call, leaves in calls), strict=True):
        assert_as_accurate(*row)


@pytest.fixture(autouse=True)
def on_triton():
    with scratchnet.backend("triton"):
        yield


# ---- any vocabulary -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILY)
def test_softmax_of_262144_classes(name):
    ours, own = FAMILY[name]
    assert_accurate(lambda x: ours(x, 1), lambda x: own(x, 1), torch.randn(2, VOCABULARY))


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("smoothing", (0.0, 0.1))
def test_losses_of_262144_classes(smoothing, dtype):
    options = {"target": torch.tensor([VOCABULARY - 1, 0, -100]), "label_smoothing": smoothing}
    x = (torch.randn(3, VOCABULARY) + 20).to(dtype)
    assert_accurate(lambda x: cross_entropy(x, **options), lambda x: F.cross_entropy(x, **options), x)


def test_fused_losses_of_many_classes():
    """Two chunks, the last one of three classes."""
    x, w, b = torch.randn(3, 8), torch.randn(4099, 8), torch.randn(4099)
    target = torch.tensor([4098, 4096, 4095])
    own = lambda x, w, b: F.cross_entropy(F.linear(x, w, b), target)
    assert_accurate(lambda x, w, b: linear_cross_entropy(x, w, target, linear_bias=b), own, x, w, b)


# ---- one pass or several ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape, dim", (((5, 300), 1), ((300, 70), 0), ((2, 300, 3), 1)), ids=str)
@pytest.mark.parametrize("name", FAMILY)
def test_rows_that_do_not_fit_in_registers(name, shape, dim, monkeypatch):
    """The same numbers as in one pass, also where a block begins with its maximum and where a block is all -inf."""
    x = torch.randn(shape, dtype=torch.float64) * 30
    x.select(dim, 128).fill_(200)
    x.narrow(dim, 0, 128)[0] = -torch.inf
    ours, _ = FAMILY[name]
    short = with_gradients(lambda t: ours(t, dim), x)
    monkeypatch.setattr(online_softmax, "LONGEST", 64)
    monkeypatch.setattr(online_softmax, "LOOP_BLOCK", 256)
    long = with_gradients(lambda t: ours(t, dim), x)
    torch.testing.assert_close(long, short, rtol=1e-12, atol=1e-14)


# ---- linear_cross_entropy -----------------------------------------------------------------------------------------------

OPTIONS = {
    "plain": {},
    "class weights": {"weight": torch.rand(300, dtype=torch.float64)},
    "smoothing": {"label_smoothing": 0.2},
    "weights, smoothing": {"weight": torch.rand(300, dtype=torch.float64), "label_smoothing": 0.2},
    "probabilities": {"weight": torch.rand(300, dtype=torch.float64), "label_smoothing": 0.1},
}


@pytest.mark.parametrize("reduction", ("none", "mean", "sum"))
@pytest.mark.parametrize("options", OPTIONS)
def test_every_reduction_and_gradient_over_several_chunks(options, reduction, monkeypatch):
    """Two tiles of rows, three chunks of classes, one ignored row; gradients that differ by row, and large expanded ones."""
    monkeypatch.setattr(fused_linear, "CHUNK", 128)
    x, w, b = (torch.randn(shape, dtype=torch.float64) for shape in ((70, 7), (300, 7), (300,)))
    target = torch.randint(300, (70,))
    target[3] = -100
    if options == "probabilities":
        target = torch.rand(70, 300, dtype=torch.float64)
    kwargs = {**OPTIONS[options], "reduction": reduction}
    ours = lambda x, w, b: linear_cross_entropy(x, w, target, linear_bias=b, **kwargs)
    own = lambda x, w, b: F.cross_entropy(F.linear(x, w, b), target, **kwargs)
    gradients = (torch.randn(70), torch.tensor(1e4).expand(70)) if reduction == "none" else (torch.tensor(-3.5),)
    for grad in gradients:
        actual, expected = (with_gradients(call, x, w, b, grad=grad) for call in (ours, own))
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def test_only_the_gradients_that_are_needed():
    x, w, b = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5)
    target = torch.tensor([1, 4, 0])
    expected = with_gradients(lambda x, w, b: linear_cross_entropy(x, w, target, linear_bias=b), x, w, b)
    for i in range(3):
        leaves = [t.clone().requires_grad_(i == place) for place, t in enumerate((x, w, b))]
        linear_cross_entropy(leaves[0], leaves[1], target, linear_bias=leaves[2]).backward()
        assert [leaf.grad is None for leaf in leaves] == [i != place for place in range(3)]
        torch.testing.assert_close(leaves[i].grad, expected[i + 1], rtol=0, atol=0)


@pytest.mark.parametrize("dtype, rows", ((torch.bfloat16, 600), (torch.float16, 3000)), ids=str)
def test_the_weight_gradient_is_summed_in_float32(dtype, rows):
    """A 16-bit sum of halves stops growing at 128 in bfloat16 and at 1024 in float16, where a half is below its precision."""
    x, w = torch.ones(rows, 2, dtype=dtype), torch.zeros(2, 2, dtype=dtype)
    target = torch.zeros(rows, dtype=torch.int64)
    _, dx, dw = with_gradients(lambda x, w: linear_cross_entropy(x, w, target, reduction="sum"), x, w, grad=torch.tensor(1.0))
    assert torch.equal(dw.float(), torch.tensor([[-1.0, -1], [1, 1]]) * rows / 2) and not dx.any()


def test_the_logits_are_never_held(monkeypatch):
    """The largest tensor of both passes is the gradient of one chunk."""

    class Largest(TorchDispatchMode):
        nbytes = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for t in result if isinstance(result, (tuple, list)) else (result,):
                self.nbytes = max(self.nbytes, t.nbytes if isinstance(t, torch.Tensor) else 0)
            return result

    monkeypatch.setattr(fused_linear, "CHUNK", 128)
    x, w, target = torch.randn(64, 4), torch.randn(640, 4), torch.randint(640, (64,))
    with Largest() as seen:
        options = LossOptions(1, -100, 0.1)
        _, lse, total_weight = fused_linear.linear_cross_entropy_forward(x, w, None, target, None, options)
        saved = x, w, None, target, None, lse, total_weight
        fused_linear.linear_cross_entropy_backward(torch.ones(()), *saved, options, True, True, False)
    assert seen.nbytes == 64 * 128 * x.element_size()


def test_the_same_bits_every_run():
    x, w, target = torch.randn(200, 8), torch.randn(90, 8), torch.randint(90, (200,))
    runs = [with_gradients(lambda x, w: linear_cross_entropy(x, w, target), x, w) for _ in range(2)]
    runs += [with_gradients(lambda x, w: cross_entropy(x @ w.T, target), x, w) for _ in range(2)]
    for first, second in (runs[:2], runs[2:]):
        torch.testing.assert_close(first, second, rtol=0, atol=0)


# ---- ignored rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ("none", "mean", "sum"))
@pytest.mark.parametrize("ignored", ((1,), (0, 1, 2)), ids=str)
def test_ignored_rows(ignored, reduction):
    """Their gradient is zero for any incoming gradient; if all rows are ignored the mean is NaN and its gradient still zero."""
    x, w, target = torch.randn(3, 5), torch.randn(6, 5), torch.tensor([2, 5, 0])
    target[list(ignored)] = -7
    options = {"ignore_index": -7, "reduction": reduction}
    grad = torch.tensor([1.0, torch.inf, 2.0])[: 3 if reduction == "none" else 1].reshape(-1 if reduction == "none" else ())
    if len(ignored) == 3 and reduction == "none":
        grad = torch.full((3,), torch.nan)
    for ours, own, inputs in (
        (lambda x: cross_entropy(x, target, **options), lambda x: F.cross_entropy(x, target, **options), (x @ w.T,)),
        (
            lambda x, w: linear_cross_entropy(x, w, target, **options),
            lambda x, w: F.cross_entropy(F.linear(x, w), target, **options),
            (x, w),
        ),
    ):
        actual, expected = (with_gradients(call, *inputs, grad=grad) for call in (ours, own))
        torch.testing.assert_close(actual[0], expected[0], equal_nan=True)
        assert not actual[1][list(ignored)].any()
        if len(ignored) == 1:
            torch.testing.assert_close(actual, expected)


# ---- compiled: other numbers of rows, every option ----------------------------------------------------------------------

COMPILE = """
import itertools, json, torch
from scratchnet.measure.gpu_code import triton as triton_code
from scratchnet.kernels.cross_entropy import fused_linear, softmax, tiles
from scratchnet.kernels.launch import compiling
from scratchnet.kernels.matmul.split import product_kernel
from scratchnet.ops import DimOptions
from scratchnet.ops.cross_entropy import LossOptions

def compiled(target, call, *args):
    launches = []
    with compiling(lambda *launch: launches.append(launch)):
        call(*args)
    for launch in launches:
        if launch[0] is not product_kernel:  # has tests of its own
            yield next(triton_code._variants(*launch, target))

def losses(rows, dtype, probabilities, weighted, smoothing):
    x, w, logits = torch.empty(rows, 64, dtype=dtype), torch.empty(300, 64, dtype=dtype), torch.empty(rows, 300, 1, dtype=dtype)
    target = torch.empty(rows, 300, dtype=dtype) if probabilities else torch.zeros(rows, dtype=torch.int64)
    weight = torch.empty(300, dtype=dtype) if weighted else None
    grad, lse, total = torch.empty(rows, dtype=dtype), torch.empty(rows, dtype=torch.float64), torch.empty(())
    options, needs = LossOptions(0, -100, smoothing), (True, True, True)
    yield tiles.cross_entropy_forward, logits, target[..., None], weight, options
    yield tiles.cross_entropy_backward, grad, logits, target[..., None], weight, lse, total, options
    yield fused_linear.linear_cross_entropy_forward, x, w, w[:, 0], target, weight, options
    yield fused_linear.linear_cross_entropy_backward, grad, x, w, w[:, 0], target, weight, lse, total, options, *needs

rows = {}
for n in (64, 65, 100, 8192):
    x = torch.empty(n, 1000)
    last = DimOptions(1)
    calls = [(softmax.softmax_forward, x, last), (softmax.softmax_backward, x, x, last), (softmax.logsumexp_forward, x, last)]
    for number, call in enumerate([*calls, *losses(n, torch.float32, False, True, 0.1)]):
        for i, (_, kernel, code) in enumerate(compiled("sm_80", *call)):
            rows.setdefault(f"{number} {i} {kernel}", []).append(code.hash)

options = []
for target, (probabilities, weighted, smoothing) in itertools.product(
    ("sm_100", "gfx942"), ((False, True, 0.1), (True, True, 0.0))
):
    for call in losses(512, torch.bfloat16, probabilities, weighted, smoothing):
        for _, kernel, code in compiled(target, *call):
            options.append([kernel, target, probabilities, triton_code._read(code, target)])
print(json.dumps([rows, options]))
"""


@pytest.fixture(scope="module")
def compiled():
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    run = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.full
def test_another_number_of_rows_compiles_nothing(compiled):
    kernels, _ = compiled
    assert len(kernels) >= 12
    for name, hashes in kernels.items():
        assert len(set(hashes)) == 1, (name, hashes)


def test_every_option_compiles_without_spills(compiled):
    _, options = compiled
    assert len({kernel for kernel, *_ in options}) >= 8
    for kernel, target, probabilities, code in options:
        assert code["spills"] == 0, (kernel, target, probabilities, code)


# ---- an unchanged model -------------------------------------------------------------------------------------------------


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(20, 8), nn.LayerNorm(8)
        self.up, self.act, self.head = nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 5)

    def forward(self, tokens):
        return self.head(self.act(self.up(self.norm(self.embedding(tokens)).mean(1))))


def test_an_unchanged_model_learns_the_same():
    """Two training steps give the losses and parameters of the C++ kernels, up to rounding."""
    tokens, labels = torch.randint(20, (6, 4)), torch.randint(5, (6,))
    results = {}
    for backend in ("cpp", "triton"):
        torch.manual_seed(1)
        model = Classifier()
        optimizer, criterion = optim.SGD(model.parameters(), lr=0.5), nn.CrossEntropyLoss(label_smoothing=0.1)
        losses = []
        with scratchnet.backend(backend):
            for _ in range(2):
                optimizer.zero_grad()
                loss = criterion(model(tokens), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        results[backend] = (*losses, *(p.detach() for p in model.parameters()))
    assert results["triton"][1] < results["triton"][0]
    torch.testing.assert_close(results["triton"], results["cpp"], rtol=1e-5, atol=1e-6)

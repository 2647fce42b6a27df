"""What losses and activations do beyond PyTorch's samples: every way of differentiation, precision, edges and warnings."""

import warnings

import pytest
import torch
import torch.nn.functional as TF
from torch.testing import assert_close

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import nn

PAIRED = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
]
BROADCAST = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]
pytestmark = pytest.mark.filterwarnings("ignore:.*'mean' divides")


def probabilities(*shape, dtype=torch.float64):
    """Numbers between 0.1 and 0.9: logits, probabilities or plain numbers."""
    return torch.rand(shape, dtype=torch.float64).mul(0.8).add(0.1).to(dtype).requires_grad_()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", PAIRED)
def test_gradients(name, reduction):
    """First and second derivatives with respect to both arguments, in reverse and forward mode, singly and in batches."""
    x, y = probabilities(3, 2), probabilities(3, 2)
    loss = lambda x, y: getattr(F, name)(x, y, reduction=reduction)
    forward = {"check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(loss, (x, y), check_batched_grad=True, **forward)
    assert torch.autograd.gradgradcheck(loss, (x, y), check_batched_grad=True)


@pytest.mark.parametrize("name", PAIRED)
def test_transforms(name):
    """torch.func, compiled and not, with one argument in the batch or both."""
    x, y = (probabilities(4, 3).detach() for _ in range(2))
    ours, theirs = getattr(F, name), getattr(TF, name)
    both, one, jvp = (
        lambda f: torch.func.vmap(torch.func.grad(f, (0, 1)))(x, y),
        lambda f: torch.func.vmap(torch.func.grad(f, (0, 1)), (None, 0))(x[0], y),
        lambda f: torch.func.jvp(f, (x, y), (y, x)),
    )
    for transformed in (both, one, jvp):
        assert_close(transformed(ours), transformed(theirs))
    assert_close(torch.func.hessian(ours)(x, y), torch.func.jacfwd(torch.func.jacrev(theirs))(x, y))
    compiled = torch.compile(torch.func.vmap(torch.func.grad(ours), (None, 0)), backend="aot_eager", fullgraph=True)
    assert_close(compiled(x[0], y), one(theirs)[0])


class Everything(torch.nn.Module):
    """All activations in sequence, all losses added up."""

    def __init__(self, layers):
        super().__init__()
        torch.manual_seed(3)
        activations = [
            layers.Linear(5, 6),
            layers.ReLU(),
            layers.LeakyReLU(),
            layers.ELU(),
            layers.GELU(),
            layers.SiLU(),
            layers.Tanh(),
            layers.Softplus(),
            layers.LogSoftmax(1),
            layers.Softmin(1),
            layers.Dropout(0.0),
            layers.Identity(),
            layers.Sigmoid(),
            layers.Flatten(),
            layers.Unflatten(1, (3, 2)),
            layers.Flatten(),
            layers.Softmax(1),
        ]
        self.activations = layers.Sequential(*activations)
        self.head = layers.LinearCrossEntropyLoss(6, 4)
        pairs = layers.MSELoss, layers.L1Loss, layers.SmoothL1Loss, layers.HuberLoss, layers.BCELoss, layers.BCEWithLogitsLoss
        self.pairs = layers.ModuleList([loss() for loss in (*pairs, layers.KLDivLoss)])
        self.classes = layers.ModuleList([layers.CrossEntropyLoss(), layers.NLLLoss()])
        self.cosine, self.triplet = layers.CosineEmbeddingLoss(), layers.TripletMarginLoss(swap=True)

    def forward(self, x, y, labels, signs):
        p = self.activations(x)
        loss = self.head(p, labels) + self.cosine(p, y, signs) + self.triplet(p, y, y.flip(0))
        return loss + sum(loss(p, y) for loss in self.pairs) + sum(loss(p, labels) for loss in self.classes)


@pytest.mark.filterwarnings("ignore::scratchnet.TeachingWarning")  # probabilities go into cross-entropy too
def test_everything_in_one_graph():
    """torch.compile(fullgraph=True), and the values of torch's layers."""
    inputs = (
        torch.randn(4, 5),
        probabilities(4, 6, dtype=torch.float32),
        torch.tensor([0, 3, 1, 2]),
        torch.tensor([1, -1, 1, -1]),
    )
    ours, theirs = Everything(nn), Everything(torch.nn)
    results = []
    for run, model in ((theirs, theirs), (ours, ours), (torch.compile(ours, fullgraph=True, backend="aot_eager"), ours)):
        loss = run(*inputs)
        results.append((loss, *torch.autograd.grad(loss, [*model.parameters(), inputs[1]])))
    assert_close(results[1], results[0])
    assert_close(results[2], results[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", PAIRED)
def test_sixteen_bits(name, reduction, dtype):
    """Computed and summed in float32: within a unit in the last place of the float64 result."""
    x, y = probabilities(31, 17, dtype=dtype), probabilities(31, 17, dtype=dtype)
    wide = x.detach().double().requires_grad_(), y.detach().double()
    ours, exact = getattr(F, name)(x, y, reduction=reduction), getattr(TF, name)(*wide, reduction=reduction)
    grad = torch.randn_like(ours)
    (dx,), (wide_dx,) = torch.autograd.grad(ours, x, grad), torch.autograd.grad(exact, wide[0], grad.double())
    for result, want in ((ours, exact), (dx, wide_dx)):
        assert result.dtype == dtype
        scale = want.abs().max().item() if want.dim() else want.abs().item()
        assert_close(result.double(), want, rtol=0, atol=torch.finfo(dtype).eps * scale)


@pytest.mark.parametrize("name", PAIRED)
def test_autocast_keeps_losses_in_float32(name):
    x, y = probabilities(3, 4, dtype=torch.bfloat16), probabilities(3, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu"):
        ours, theirs = getattr(F, name)(x, y), getattr(TF, name)(x, y)
    assert ours.dtype == theirs.dtype == torch.float32
    assert_close(ours, theirs)


@pytest.mark.parametrize("name", [n for n in PAIRED if n != "binary_cross_entropy"])
def test_infinity_and_nan(name):
    x = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0, torch.inf, 0.0], requires_grad=True)
    y = torch.tensor([0.5, 0.5, 0.5, torch.nan, torch.inf, 0.0])
    ours, theirs = (getattr(library, name)(x, y, reduction="none") for library in (F, TF))
    assert_close(ours, theirs, equal_nan=True)
    ours, theirs = (torch.autograd.grad(loss.sum(), x)[0] for loss in (ours, theirs))
    assert_close(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_bce_of_certain_predictions(reduction):
    """A prediction of exactly 0 or 1, wrong or right, has torch's bounded loss and gradient."""
    p = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.5, 1e-30, 1 - 1e-7], requires_grad=True)
    t = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.3, 1.0, 0.0], requires_grad=True)
    results = []
    for library in (F, TF):
        loss = library.binary_cross_entropy(p, t, reduction=reduction)
        results.append((loss, *torch.autograd.grad(loss.sum(), (p, t))))
    assert_close(*results)


def test_logits_do_what_probabilities_cannot():
    """sigmoid(30) is 1 in float32, and 1 - sigmoid(100) is 0: the loss of the probabilities is 0, or stops at 100."""
    x, t = torch.tensor([30.0, 120.0, -200.0]), torch.tensor([1.0, 0.0, 1.0])
    exact = torch.tensor([9.357622968840175e-14, 120.0, 200.0])
    assert_close(F.binary_cross_entropy_with_logits(x, t, reduction="none"), exact, rtol=1e-6, atol=0)
    assert F.binary_cross_entropy(x.sigmoid(), t, reduction="none").tolist() == [0, 100, 100]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(3,), (4, 3), (0, 3), (2, 3, 5), (2, 3, 2, 2), (2, 3, 2, 1, 2)], ids=str)
def test_nll_loss(shape, reduction, weighted):
    """Also rows that do not count, whatever they hold; the mean over no rows is NaN."""
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    target = torch.randint(3, shape[:1] + shape[2:] if len(shape) > 1 else ())
    weight = torch.rand(3, dtype=torch.float64) if weighted else None
    for ignored in (-100, 1, 2):
        ours, theirs = (library.nll_loss(x, target, weight, ignore_index=ignored, reduction=reduction) for library in (F, TF))
        assert_close(ours, theirs, equal_nan=True)
        grad = torch.rand_like(ours)
        ours, theirs = (torch.autograd.grad(loss, x, grad)[0] for loss in (ours, theirs))
        assert_close(ours, theirs, equal_nan=True)


def test_nll_loss_of_an_ignored_infinity():
    x = torch.tensor([[-torch.inf, -1.0], [-2.0, -3.0]], requires_grad=True)
    loss = F.nll_loss(x, torch.tensor([-100, 1]))
    assert loss == 3
    assert torch.autograd.grad(loss, x)[0].tolist() == [[0, 0], [0, -1]]
    assert F.nll_loss(x, torch.tensor([-100, -100])).isnan()


def test_nll_loss_after_log_softmax_is_cross_entropy():
    x, target = torch.randn(6, 4, 3, dtype=torch.float64), torch.randint(4, (6, 3))
    assert_close(F.nll_loss(F.log_softmax(x, 1), target), F.cross_entropy(x, target))


def test_smooth_l1_is_huber_over_beta():
    x, y = torch.randn(2, 50, dtype=torch.float64)
    assert_close(F.smooth_l1_loss(x, y, beta=0.7), F.huber_loss(x, y, delta=0.7) / 0.7)
    assert_close(F.smooth_l1_loss(x, y, beta=0.0), F.l1_loss(x, y))


@pytest.mark.parametrize("name", BROADCAST)
def test_broadcasting_warns(name):
    """Row 3 of the learners' mistakes: (B, 1) predictions against (B,) targets give (B, B) losses."""
    x, y = torch.randn(4, 1), torch.randn(4)
    with pytest.warns(UserWarning, match=rf"{name}\(\): Using a target size .*input.squeeze\(1\)") as caught:
        ours = getattr(F, name)(x, y, reduction="none")
    assert caught[0].filename == __file__ and ours.shape == (4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_close(ours, getattr(TF, name)(x, y, reduction="none"))


def test_kl_div_warns_of_mean():
    x, y = torch.randn(2, 3, 4).log_softmax(2)
    with pytest.warns(UserWarning, match="'batchmean' divides only by the batch size") as caught:
        assert_close(F.kl_div(x, y.exp()), F.kl_div(x, y.exp(), reduction="batchmean") / 4)
    assert caught[0].filename == __file__
    assert_close(F.kl_div(x, y, reduction="sum", log_target=True), F.kl_div(x, y.exp(), reduction="sum"))


@pytest.mark.parametrize("name", [*PAIRED, "nll_loss", "cosine_embedding_loss", "triplet_margin_loss"])
def test_legacy_flags(name):
    if name == "huber_loss":
        pytest.skip("younger than the flags")
    x, y, labels = torch.full((3, 4), 0.25), torch.full((3, 4), 0.5), torch.tensor([1, 1, 1])
    inputs = {"nll_loss": (x, labels), "cosine_embedding_loss": (x, y, labels), "triplet_margin_loss": (x, y, y)}.get(
        name, (x, y)
    )
    for flags, reduction in (({"size_average": False}, "sum"), ({"reduce": False}, "none"), ({"reduce": True}, "mean")):
        with pytest.warns(UserWarning, match=f"please use reduction='{reduction}'") as caught:
            loss = getattr(F, name)(*inputs, **flags)
        assert caught[0].filename == __file__
        assert_close(loss, getattr(TF, name)(*inputs, reduction=reduction))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["elu", "leaky_relu", "relu", "sigmoid", "softplus", "tanh"])
def test_activations(name, dtype):
    """torch's bits, NaN and infinity included, and the input's memory when asked for."""
    x = torch.tensor([-torch.inf, -100, -1, -0.0, 0, 0.5, 30, torch.inf, torch.nan], dtype=dtype, requires_grad=True)
    ours, theirs = (getattr(library, name)(x) for library in (F, TF))
    assert ours.dtype == dtype
    assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    ours, theirs = (torch.autograd.grad(y.sum(), x)[0] for y in (ours, theirs))
    assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    if name in ("elu", "leaky_relu", "relu"):
        overwritten = x.detach().clone()
        assert getattr(F, name)(overwritten, inplace=True) is overwritten
        assert_close(overwritten, getattr(TF, name)(x), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 4), (6, 5, 4, 3), (2, 3, 2, 2, 2)], ids=str)
@pytest.mark.filterwarnings("ignore:.*dropout2d")
def test_dropout2d_drops_torchs_channels(shape, inplace):
    results = []
    for library in (F, TF):
        torch.manual_seed(9)
        x = torch.ones(shape)
        y = library.dropout2d(x, 0.4, inplace=inplace)
        assert (y is x) == inplace
        results.append((y, torch.get_rng_state()))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])
    channels = results[0][0].flatten(2) if len(shape) > 2 else results[0][0].unsqueeze(2)
    assert torch.equal(channels, channels[:, :, :1].expand_as(channels))


def test_softmax_before_cross_entropy_is_noticed_once():
    """Row 1 of the learners' mistakes; logits, and what torch.compile traces, raise nothing."""
    x, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    layer = nn.CrossEntropyLoss()
    with pytest.warns(scratchnet.TeachingWarning, match=r"CrossEntropyLoss.*\(4, 3\).*leave the softmax") as caught:
        assert_close(layer(x.softmax(1), target), TF.cross_entropy(x.softmax(1), target))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(x.softmax(1), target)  # warns only once
        for logits in (x, x.log_softmax(1), torch.zeros(4, 3), torch.ones(4, 3)):
            nn.CrossEntropyLoss()(logits, target)
        nn.CrossEntropyLoss()(torch.ones(4, 1), torch.zeros(4, dtype=torch.int64))
        torch.compile(nn.CrossEntropyLoss(), fullgraph=True, backend="eager")(x.softmax(1), target)

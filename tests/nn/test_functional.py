"""scratchnet.nn.functional against torch.nn.functional: what it adds to the primitives, and their names and signatures."""

import inspect
import warnings

import pytest
import torch
import torch.nn.functional as TF
from torch.testing import assert_close

import scratchnet.nn.functional as F
from scratchnet.ops import OPS

OURS_ALONE = {"add_layer_norm", "bias_gelu", "gated", "geglu", "quick_gelu", "reglu", "squared_relu", "swiglu"}
OURS_ALONE |= {"dpo_loss", "linear_distillation", "linear_sequence_log_prob", "varlen_attn"}
OURS_ALONE |= {"linear_cross_entropy"} - {*dir(TF)}  # older ones lack it
SHARED = {name for name in F.__all__ if name not in OURS_ALONE and getattr(F, name) is getattr(TF, name)}
conv = lambda input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1: None


def _avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None): ...


def _attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, enable_gqa=False): ...


WRITTEN_IN_C = {  # what inspect cannot see
    "avg_pool2d": _avg_pool2d,
    "conv1d": conv,
    "conv2d": conv,
    "gelu": lambda input, approximate="none": None,
    "linear": lambda input, weight, bias=None: None,
    "scaled_dot_product_attention": _attention,
    "softplus": lambda input, beta=1, threshold=20: None,
    "max_pool2d": TF.max_pool2d_with_indices,  # the function behind it: max_pool2d itself takes (*args, **kwargs)
}


@pytest.mark.parametrize("name", sorted(set(F.__all__) - OURS_ALONE - SHARED))
def test_signature(name):
    """torch's arguments come first, with torch's names and defaults; our extra ones have defaults."""
    functions = getattr(F, name), WRITTEN_IN_C.get(name, getattr(TF, name))
    ours, theirs = ([(p.name, p.default) for p in inspect.signature(f).parameters.values()] for f in functions)
    assert ours[: len(theirs)] == theirs
    assert all(default is not inspect.Parameter.empty for _, default in ours[len(theirs) :])


# What torch.nn.functional has but does not document as a function of its own, or has only since our oldest torch.
NOT_FUNCTIONS = {
    "Callable",
    "DType",
    "Optional",
    "ScalingType",
    "SwizzleType",
    "Tensor",
    "assert_int_or_pair",
    "boolean_dispatch",
}
NOT_FUNCTIONS |= {name for name in dir(TF) if "torch_function" in name} | {"grouped_mm", "scaled_mm", "scaled_grouped_mm"}


def test_every_name_of_torch_is_here():
    theirs = {name for name in dir(TF) if callable(getattr(TF, name)) and not name.startswith("_")}
    assert theirs - set(F.__all__) <= NOT_FUNCTIONS


def test_what_is_torchs_own():
    """Nothing that one of our primitives does, and whatever the layers do that are torch's own."""
    assert not SHARED & set(OPS)
    assert {"one_hot", "pad", "fold", "pixel_shuffle", "interpolate"} <= SHARED  # they move numbers
    assert {"mish", "hardswish", "relu6", "prelu", "selu"} <= SHARED  # one elementwise operation
    assert {
        "conv3d",
        "conv_transpose2d",
        "max_pool1d",
        "group_norm",
        "ctc_loss",
        "cosine_similarity",
    } <= SHARED


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (17, 33), (3, 4, 5)], ids=str)
def test_dropout_is_torchs_for_the_same_seed(shape, p, dtype):
    x = torch.randn(shape, dtype=torch.float64).to(dtype)
    if x.dim() == 2:
        x = x.t()  # the mask follows the strides
    results = []
    for dropout in (F.dropout, TF.dropout):
        torch.manual_seed(2)
        leaf = x.clone().requires_grad_()
        y = dropout(leaf, p)
        (grad,) = torch.autograd.grad(y.sum(), leaf)
        results.append((y, grad, torch.get_rng_state()))
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


def test_dropout_details():
    x = torch.randn(1000)
    assert F.dropout(x, 0.5, training=False) is x
    y = F.dropout(x, 0.25)
    kept = y != 0
    assert 680 < kept.sum() < 820 and torch.equal(y[kept], x[kept] * (1 / torch.tensor(0.75)))
    z = x.clone()
    assert F.dropout(z, 0.5, inplace=True) is z and not torch.equal(z, x)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        F.dropout(x.clone().requires_grad_(), 0.5, inplace=True)
    assert F.dropout(torch.tensor([torch.inf, 1.0]), 1.0).isnan().tolist() == [True, False]
    for p in (-0.01, 1.01, float("nan")):
        with pytest.raises(ValueError, match=r"dropout\(\): argument 'p'.*between 0 and 1"):
            F.dropout(x, p)


def test_relu():
    x = torch.tensor([-1.0, -0.0, 0.0, 2.0, torch.nan, torch.inf, -torch.inf], requires_grad=True)
    y = F.relu(x)
    assert_close(y, TF.relu(x), equal_nan=True, rtol=0, atol=0)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.autograd.grad(TF.relu(x).sum(), x)[0])
    z = torch.tensor([-1.0, 1.0])
    assert F.relu(z, inplace=True) is z and z.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (33,), (17, 5)], ids=str)
def test_mse_loss(shape, dtype, weighted, reduction):
    """Against torch in float64, within two units in the last place of the largest number: 16-bit losses are rounded once."""
    tensors = [torch.rand(shape, dtype=torch.float64).add(0.5).to(dtype).requires_grad_() for _ in range(2 + weighted)]
    wide = [t.detach().double().requires_grad_() for t in tensors]
    (x, y, *w), (wide_x, wide_y, *wide_w) = tensors, wide
    ours = F.mse_loss(x, y, reduction=reduction, weight=w[0] if w else None)
    exact = TF.mse_loss(wide_x, wide_y, reduction=reduction, weight=wide_w[0] if w else None)
    grad = torch.randn_like(ours)
    results = [ours, *torch.autograd.grad(ours, tensors, grad)]
    wanted = [exact, *torch.autograd.grad(exact, wide, grad.double())]
    scale = max(want.detach().nan_to_num().abs().max().item() if want.numel() else 0.0 for want in wanted)
    for result, want in zip(results, wanted, strict=True):
        assert result.dtype == dtype
        assert_close(result.double(), want, rtol=0, atol=2 * torch.finfo(dtype).eps * scale, equal_nan=True)


@pytest.mark.parametrize(
    "kinds", [(torch.float32, torch.float64), (torch.bfloat16, torch.float32), (torch.float32, torch.int64)]
)
def test_mse_loss_promotes_as_torch(kinds):
    x, y = (torch.tensor([1, 2, 5]).to(kind) for kind in kinds)
    ours, theirs = F.mse_loss(x + 1, y), TF.mse_loss(x + 1, y)
    assert ours.dtype == theirs.dtype and ours == theirs == 1


def test_mse_loss_under_autocast():
    x, y = torch.randn(2, 50).bfloat16()
    with torch.autocast("cpu"):
        assert_close(F.mse_loss(x, y), TF.mse_loss(x, y))  # float32, both
        assert F.mse_loss(x.double(), y.double()).dtype == TF.mse_loss(x.double(), y.double()).dtype == torch.float64


def test_mse_loss_second_derivative():
    x, y = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradgradcheck(F.mse_loss, (x, y))
    assert_close(torch.func.hessian(F.mse_loss)(x, y), torch.func.hessian(TF.mse_loss)(x, y))


@pytest.mark.parametrize(
    ("input", "target", "hint"),
    [
        ((4, 1), (4,), r"input.squeeze\(1\) or target.unsqueeze\(1\)"),
        ((4,), (4, 1), r"target.squeeze\(1\) or input.unsqueeze\(1\)"),
        ((3, 3, 1), (3, 3), r"input.squeeze\(2\) or target.unsqueeze\(2\)"),
        ((2, 3), (3,), "Please ensure they have the same size.$"),
    ],
)
def test_mse_loss_warns_of_broadcasting(input, target, hint):
    x, y = torch.randn(input), torch.randn(target)
    with pytest.warns(UserWarning, match=hint) as caught:
        ours = F.mse_loss(x, y)
    assert str(y.shape) in str(caught[0].message) and str(x.shape) in str(caught[0].message)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_close(ours, TF.mse_loss(x, y))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((torch.zeros(2), torch.zeros(2)), {"reduction": "avg"}, "argument 'reduction': avg is not a valid value"),
        ((torch.zeros(2), torch.zeros(2)), {"weight": torch.zeros(3)}, r"argument 'weight'.*same size.*\(3,\).*\(2,\)"),
        ((torch.zeros(2).long(), torch.zeros(2).long()), {}, "argument 'input'.*int64.*float"),
        ((torch.zeros(2).cfloat(), torch.zeros(2)), {}, "argument 'input'.*complex64"),
        ((torch.zeros(2), torch.zeros(3)), {}, r"argument 'target'.*size.*\(3,\).*\(2,\)"),
        ((torch.zeros(2, 3, 1), torch.zeros(2, 3)), {}, r"argument 'target'.*squeeze\(2\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*target size")
def test_mse_loss_wrong_calls(arguments, options, message):
    with pytest.raises(Exception) as theirs:
        TF.mse_loss(*arguments, **options)
    with pytest.raises(theirs.type, match=message):
        F.mse_loss(*arguments, **options)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 3, 4, 2)], ids=str)
def test_softmax_without_dim(name, shape):
    x = torch.randn(shape)
    with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name}") as caught:
        ours = getattr(F, name)(x)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="Implicit dimension"):
        assert_close(ours, getattr(TF, name)(x))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_softmax_converts_first(name):
    x = torch.randn(3, 4).half()
    ours, theirs = (getattr(library, name)(x, dim=0, dtype=torch.float64) for library in (F, TF))
    assert ours.dtype == torch.float64
    assert_close(ours, theirs)


def test_names_that_a_newer_torch_has(monkeypatch):
    monkeypatch.setattr(TF, "newest", TF.mish, raising=False)
    with pytest.raises(AttributeError, match="torch.nn.functional.newest"):
        F.newest(torch.zeros(1))

"""nn.init against torch.nn.init: the same bits for the same seed, the same gains, warnings and errors."""

import inspect
import math

import pytest
import torch

from scratchnet.nn import init

SHAPES = {
    "square": (5, 5),
    "wide": (4, 9),
    "tall": (9, 4),
    "conv1d": (6, 2, 3),
    "conv2d": (6, 3, 3, 2),
    "conv3d": (4, 2, 3, 1, 2),
}
CALLS = [
    ("uniform_", {}),
    ("uniform_", {"a": -2, "b": 3.0}),
    ("normal_", {}),
    ("normal_", {"mean": 2.0, "std": 0.1}),
    ("trunc_normal_", {}),
    ("trunc_normal_", {"std": 0.02}),
    ("trunc_normal_", {"std": 1.5, "a": -1, "b": 0.5}),
    ("trunc_normal_", {"mean": 1.0, "a": 1.9, "b": 2.0}),
    ("trunc_normal_", {"mean": -1.0, "a": 0.7, "b": 3.0}),
    ("constant_", {"val": 0.3}),
    ("ones_", {}),
    ("zeros_", {}),
    ("xavier_uniform_", {}),
    ("xavier_uniform_", {"gain": 2.0}),
    ("xavier_normal_", {}),
    ("xavier_normal_", {"gain": 0.5}),
    *[
        (name, options)
        for name in ("kaiming_uniform_", "kaiming_normal_")
        for options in (
            {},
            {"a": math.sqrt(5)},
            {"mode": "fan_out", "nonlinearity": "relu"},
            {"nonlinearity": "selu", "mode": "FAN_IN"},
        )
    ],
    ("orthogonal_", {}),
    ("orthogonal_", {"gain": 0.7}),
]
SQUARE_ONLY = [("eye_", {}), ("sparse_", {"sparsity": 0.3}), ("sparse_", {"sparsity": 0.9, "std": 1.0})]
CONVOLUTIONS = [("dirac_", {}), ("dirac_", {"groups": 2})]
CASES = [
    (name, options, shape)
    for shape in SHAPES
    for name, options in CALLS + (CONVOLUTIONS if shape.startswith("conv") else SQUARE_ONLY)
]


@pytest.mark.parametrize(
    ("name", "options", "shape", "dtype"),
    [
        (*case, dtype)
        for case in CASES
        for dtype in (torch.float32, torch.float64, torch.bfloat16)
        if case[0] != "orthogonal_" or dtype != torch.bfloat16  # torch.linalg.qr has none
    ],
)
def test_the_same_bits(name, options, shape, dtype):
    results, states = [], []
    for library in (init, torch.nn.init):
        torch.manual_seed(3)
        parameter = torch.nn.Parameter(torch.full(SHAPES[shape], torch.nan, dtype=dtype))
        assert getattr(library, name)(parameter, **options) is parameter
        assert parameter.requires_grad and parameter.is_leaf and not parameter.isnan().any()
        results.append(parameter.detach())
        states.append(torch.get_rng_state())
    assert torch.equal(*results) and torch.equal(*states)


@pytest.mark.parametrize(("name", "options"), [case for case in CALLS + SQUARE_ONLY if case[0] != "sparse_"])
def test_generator_and_strides(name, options):
    results = []
    for library in (init, torch.nn.init):
        given = {"generator": torch.Generator().manual_seed(1)}
        given = given if "generator" in inspect.signature(getattr(init, name)).parameters else {}
        results.append(getattr(library, name)(torch.empty(6, 8).t()[::2], **options, **given))
    assert torch.equal(*results)


@pytest.mark.parametrize("name", init.__all__)
def test_signature(name):
    ours, theirs = (inspect.signature(getattr(library, name)).parameters.values() for library in (init, torch.nn.init))
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]


def test_every_name_of_torch():
    for name in torch.nn.init.__all__:
        assert callable(getattr(init, name))


def test_trunc_normal_stays_inside():
    torch.manual_seed(0)
    for a, b in ((-0.5, 1.0), (1.9, 2.1)):
        draws = init.trunc_normal_(torch.empty(10000), a=a, b=b)
        assert a <= draws.min() and draws.max() <= b
        assert draws.unique().numel() > 5000


def test_orthogonal_is():
    for shape in ((5, 9), (9, 5), (4, 3, 2)):
        q = init.orthogonal_(torch.empty(shape, dtype=torch.float64)).reshape(shape[0], -1)
        gram = q @ q.t() if q.shape[0] < q.shape[1] else q.t() @ q
        torch.testing.assert_close(gram, torch.eye(len(gram), dtype=torch.float64))


@pytest.mark.parametrize("param", [None, 0, 0.2, 1, math.sqrt(5)])
@pytest.mark.parametrize(
    "name", ["linear", "conv1d", "conv3d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gain(name, param):
    assert init.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_", "orthogonal_"])
def test_no_elements(name):
    with pytest.warns(UserWarning, match="no-op") if name.startswith("kaiming") else torch.no_grad():
        assert getattr(init, name)(torch.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("name", ["trunc_normal_", "dirac_", "orthogonal_", "sparse_"])
def test_meta(name):
    tensor = torch.empty(4, 4, 3 if name == "dirac_" else 4, device="meta")
    tensor = tensor[0] if name == "sparse_" else tensor
    assert getattr(init, name)(tensor, *((0.5,) if name == "sparse_" else ())) is tensor


def test_trunc_normal_warns_far_outside():
    with pytest.warns(UserWarning, match="more than 2 std") as caught:
        init.trunc_normal_(torch.empty(3), mean=5, a=0, b=1)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["uniform", "normal", "xavier_normal", "kaiming_uniform", "orthogonal"])
def test_deprecated_names(name):
    with pytest.warns(FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`"):
        getattr(init, name)(torch.empty(3, 3))


WRONG = [
    ("calculate_gain", ("swish",), {}, "Unsupported nonlinearity swish; choose from linear"),
    ("calculate_gain", ("leaky_relu", True), {}, "negative_slope True not a valid number"),
    ("calculate_gain", ("leaky_relu", "a"), {}, "negative_slope a not a valid number"),
    ("eye_", (3,), {}, "Only tensors with 2 dimensions are supported, got shape \\(3,\\)"),
    ("sparse_", (3, 2, 2), {"sparsity": 0.1}, "Only tensors with 2 dimensions"),
    ("dirac_", (3, 2), {}, "Only tensors with 3, 4, or 5 dimensions.*convolutions"),
    ("dirac_", (3, 2, 2), {"groups": 2}, "dim 0 must be divisible by groups: it is 3, groups 2"),
    ("xavier_uniform_", (3,), {}, "fewer than 2 dimensions: got shape \\(3,\\); a bias is initialised with zeros_"),
    ("xavier_normal_", (), {}, "fewer than 2 dimensions"),
    ("kaiming_uniform_", (3,), {}, "fewer than 2 dimensions"),
    ("kaiming_normal_", (3, 3), {"mode": "fan"}, "Mode fan not supported, please use one of"),
    ("kaiming_normal_", (3, 3), {"nonlinearity": "x"}, "Unsupported nonlinearity x"),
    ("orthogonal_", (3,), {}, "Only tensors with 2 or more dimensions are supported, got shape \\(3,\\)"),
]


@pytest.mark.parametrize(("name", "args", "options", "message"), WRONG)
def test_wrong_calls(name, args, options, message):
    args = args if name == "calculate_gain" else (torch.zeros(args),)
    with pytest.raises(Exception) as theirs:
        getattr(torch.nn.init, name)(*args, **options)
    with pytest.raises(theirs.type, match=message):
        getattr(init, name)(*args, **options)
    assert name == "calculate_gain" or not args[0].any()

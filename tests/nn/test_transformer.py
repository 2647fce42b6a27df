"""FeedForward, TransformerEncoderLayer and TransformerEncoder: fused where no hook listens, torch's numbers in every case."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as TF
from cases import assert_as_accurate
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing import assert_close

import scratchnet
from scratchnet import nn

common_modules = pytest.importorskip(
    "torch.testing._internal.common_modules", reason="needs expecttest: pip install expecttest"
)
L, N, E = 5, 3, 8
CAUSAL = torch.ones(L, L, dtype=torch.bool).triu(1)
PADDING = torch.arange(L) >= torch.tensor([[L], [3], [2]])
INFO = next(info for info in common_modules.module_db if info.module_cls is torch.nn.TransformerEncoder)
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True", "ignore:The PyTorch API of nested tensors")


def twins(build):
    """A model of our layers and one of torch's, with the same random parameters, biases and norms included."""
    ours, theirs = build(nn), build(torch.nn)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    assert str(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def layers(library, **kwargs):
    return library.TransformerEncoderLayer(E, 2, 16, **{"dropout": 0.0, **kwargs})


def results(model, x, *args, **kwargs):
    """Output and all gradients."""
    x = x.detach().clone().requires_grad_()
    output = model(x, *args, **kwargs)
    torch.manual_seed(1)
    upstream = torch.randn(output.shape, dtype=output.dtype)
    return output, torch.autograd.grad(output, [x, *model.parameters()], upstream)


@pytest.mark.parametrize("k", range(39))
def test_pytorchs_samples_of_the_encoder(k):
    sample = INFO.module_inputs_func(INFO, "cpu", torch.float64, requires_grad=False, training=True)[k]
    theirs = torch.nn.TransformerEncoder(*sample.constructor_input.args)
    layer = theirs.layers[0]
    ours = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(
            4,
            2,
            layer.linear1.out_features,
            0.0,
            layer.activation,
            batch_first=layer.self_attn.batch_first,
            norm_first=layer.norm_first,
            bias=layer.linear1.bias is not None,
            dtype=torch.float64,
        ),
        2,
    )
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    args, kwargs = sample.forward_input.args, sample.forward_input.kwargs
    assert_close(results(ours, *args, **kwargs), results(theirs, *args, **kwargs))


def test_the_samples_are_all_there():
    assert len(INFO.module_inputs_func(INFO, "cpu", torch.float64, requires_grad=False, training=True)) == 39


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize(
    "activation",
    ["relu", "gelu", torch.tanh, torch.nn.functional.gelu, torch.nn.GELU("tanh")],
    ids=["relu", "gelu", "torch.tanh", "F.gelu", "a module"],
)
def test_activations(activation, norm_first):
    ours, theirs = twins(lambda library: layers(library, activation=activation, norm_first=norm_first))
    x = torch.randn(L, N, E)
    assert_close(results(ours, x), results(theirs, x))


@pytest.mark.parametrize("masks", [{}, {"src_mask": CAUSAL, "is_causal": True}, {"src_key_padding_mask": PADDING}])
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"norm_first": True, "batch_first": True, "bias": False}])
def test_layer_in_training_and_in_inference(options, masks):
    ours, theirs = twins(lambda library: layers(library, dropout=0.3, **options))
    x = torch.randn((N, L, E) if options.get("batch_first") else (L, N, E))
    found = []
    for layer in (ours, theirs):
        torch.manual_seed(2)
        found.append(layer(x, **masks))
        torch.manual_seed(2)
        assert torch.equal(layer(x, **masks), found[-1])
    assert_close(*found)
    with torch.no_grad():  # where torch takes its fused path
        assert_close(ours.eval()(x, **masks), theirs.eval()(x, **masks))


@pytest.mark.parametrize("norm", [False, True])
def test_encoder_with_masks(norm):
    def build(library):
        layer = layers(library, batch_first=True)
        return library.TransformerEncoder(layer, 2, library.LayerNorm(E) if norm else None, enable_nested_tensor=False)

    ours, theirs = twins(build)
    x = torch.randn(N, L, E)
    for masks in ({"mask": CAUSAL}, {"mask": CAUSAL, "src_key_padding_mask": PADDING}, {"mask": ~CAUSAL}):
        assert_close(results(ours, x, **masks), results(theirs, x, **masks))
    assert_close(ours(x, mask=CAUSAL, is_causal=True), ours(x, mask=CAUSAL, is_causal=False))
    assert {k: v for k, v in vars(ours).items() if not k.startswith("_")} == {
        k: v for k, v in vars(theirs).items() if not k.startswith("_")
    }


def test_an_encoder_copies_its_layer():
    layer = layers(nn)
    encoder = nn.TransformerEncoder(layer, 3)
    assert encoder.num_layers == len(encoder.layers) == 3
    assert len({id(p) for module in (layer, encoder) for p in module.parameters()}) == 4 * len(list(layer.parameters()))
    assert all(torch.equal(a, b) for copied in encoder.layers for a, b in zip(layer.parameters(), copied.parameters()))  # noqa: B905
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns that it cannot use nested tensors, which we did not ask for
        assert "TransformerEncoderLayer" in repr(pickle_copy(encoder))


def pickle_copy(model):
    import io

    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("norm_first", [True, False])
def test_every_hook_is_called(norm_first):
    """A hook, a subclass or a replaced forward keeps layers from being fused."""
    plain = layers(nn, norm_first=norm_first)
    x = torch.randn(L, N, E)
    expected = results(plain, x)
    watched = [name for name, _ in plain.named_modules() if name not in ("", "self_attn.out_proj")]  # torch reads its weight
    seen = set()

    def see(model, name):
        model.get_submodule(name).register_forward_hook(lambda *_: seen.add(name))

    for name in watched:
        layer = copy.deepcopy(plain)
        see(layer, name)
        assert_close(results(layer, x), expected)
    assert seen == set(watched)

    layer = copy.deepcopy(plain)
    layer.linear1.forward = lambda y: torch.zeros(*y.shape[:-1], 16)
    layer.norm2.forward = lambda y: torch.zeros_like(y)
    assert not torch.equal(layer(x), plain(x))

    class Doubled(nn.Linear):
        def forward(self, y):
            return 2 * super().forward(y)

    layer, doubled = copy.deepcopy(plain), copy.deepcopy(plain)
    layer.linear1.__class__ = Doubled
    with torch.no_grad():
        doubled.linear1.weight.mul_(2)
        doubled.linear1.bias.mul_(2)
    assert_close(layer(x), doubled(x))

    counted = []
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, *_: counted.append(type(module)))
    try:
        plain(x)
    finally:
        handle.remove()
    assert counted.count(nn.Linear) == counted.count(nn.LayerNorm) == 2


def test_another_norm():
    layer = layers(nn)
    layer.norm1 = nn.RMSNorm(E)
    y, _ = layer.self_attn(*[torch.ones(L, N, E)] * 3)
    x = layer.norm1(torch.ones(L, N, E) + y)
    assert_close(layer(torch.ones(L, N, E)), layer.norm2(x + layer.linear2(torch.relu(layer.linear1(x)))))


@pytest.mark.parametrize("norm_first", [True, False])
def test_autocast(norm_first):
    ours, theirs = twins(lambda library: layers(library, norm_first=norm_first))
    x = torch.randn(L, N, E)
    with torch.autocast("cpu", torch.bfloat16):
        mine, wanted = ours(x), theirs(x)
    assert_as_accurate(mine, wanted, theirs.double()(x.double()))


@pytest.mark.parametrize("masks", [{}, {"mask": CAUSAL}, {"src_key_padding_mask": PADDING}], ids=["none", "causal", "padding"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_compiled(norm_first, masks):
    encoder = nn.TransformerEncoder(layers(nn, norm_first=norm_first, activation="gelu"), 2)
    x = torch.randn(L, N, E)
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
    assert_close(results(compiled, x, **masks), results(encoder, x, **masks))


@pytest.mark.parametrize("norm_first", [True, False])
def test_gradcheck(norm_first):
    layer = twins(lambda library: layers(library, norm_first=norm_first, activation="gelu"))[0].double()
    x = torch.randn(2, 1, E, dtype=torch.float64, requires_grad=True)
    names = list(dict(layer.named_parameters()))

    def call(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, (x, *layer.parameters()), fast_mode=True)
    with sdpa_kernel(SDPBackend.MATH):  # torch's other kernels raise: they have no second derivative
        assert torch.autograd.gradgradcheck(call, (x, *layer.parameters()), fast_mode=True)


@pytest.mark.parametrize(
    ("options", "activation"),
    [
        ({}, torch.nn.GELU()),
        ({"hidden_dim": 5, "activation": "relu", "bias": False}, torch.nn.ReLU()),
        ({"activation": torch.tanh, "dropout": 0.4}, torch.nn.Tanh()),
    ],
    ids=["default", "relu", "tanh"],
)
def test_feed_forward_is_linear_activation_linear(options, activation):
    block = nn.FeedForward(E, **options)
    hidden, bias = options.get("hidden_dim", 4 * E), options.get("bias", True)
    up, down = torch.nn.Linear(E, hidden, bias), torch.nn.Linear(hidden, E, bias)
    plain = torch.nn.Sequential(up, activation, torch.nn.Dropout(options.get("dropout", 0.0)), down)
    for mine, theirs in ((block.up, up), (block.down, down)):
        theirs.load_state_dict(mine.state_dict())
    for shape in ((3, 4, E), (E,), (0, E)):
        x, found = torch.randn(shape), []
        for model in (block, plain):
            torch.manual_seed(2)
            found.append(results(model, x))
        assert_close(*found)
    assert list(block.state_dict()) == [f"{k}.{p}" for k in ("up", "down") for p in ("weight", "bias")[: 1 + bias]]
    assert_close(torch.compile(block.eval(), backend="aot_eager", fullgraph=True)(x), plain.eval()(x))


@pytest.mark.parametrize("activation", ["swiglu", "geglu", "reglu", "glu"])
def test_feed_forward_with_a_gate(activation):
    """Llama's MLP: three matrices, each like torch's, and the gate goes through the activation."""
    act = {"swiglu": TF.silu, "geglu": TF.gelu, "reglu": TF.relu, "glu": torch.sigmoid}[activation]
    block = nn.FeedForward(E, 5, activation, bias=False)
    assert list(block.state_dict()) == ["gate.weight", "up.weight", "down.weight"]
    gate, up, down = (torch.nn.Parameter(p.detach().clone()) for p in block.parameters())
    for shape in ((3, 4, E), (E,), (0, E)):
        x = torch.randn(shape, requires_grad=True)
        ours, theirs = block(x), TF.linear(act(TF.linear(x, gate)) * TF.linear(x, up), down)
        assert_close(ours, theirs)
        gradients = torch.autograd.grad(ours.square().sum(), [x, *block.parameters()])
        assert_close(gradients, torch.autograd.grad(theirs.square().sum(), [x, gate, up, down]))
    assert_close(torch.compile(block, backend="aot_eager", fullgraph=True)(x), block(x))


def test_every_backend():
    layer, x = layers(nn, activation="gelu"), torch.randn(L, N, E)
    expected = results(layer, x)
    for backend in ("cpp:1", "numpy", "reference", None):
        with scratchnet.backend(backend):
            assert_close(results(layer, x), expected)


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_causal_mask_of_another_length(batch_first):
    """With the hint it is not read; without one it is causal only for sequences of its own length."""

    def build(library):
        return library.TransformerEncoder(layers(library, batch_first=batch_first), 2, enable_nested_tensor=False)

    ours, theirs = twins(build)
    x, longer = torch.randn(N, L, E), torch.ones(8, 8, dtype=torch.bool).triu(1)
    length = L if batch_first else N
    assert_close(results(ours, x, mask=longer, is_causal=True), results(theirs, x, mask=longer, is_causal=True))
    assert_close(ours(x, mask=longer, is_causal=True), ours(x, mask=longer[:length, :length]))
    assert_close(ours.layers[0](x, src_mask=longer, is_causal=True), theirs.layers[0](x, src_mask=longer, is_causal=True))
    for model in (ours, theirs):
        with pytest.raises(RuntimeError, match="The shape of the 2D attn_mask is"):
            model(x, mask=longer)

"""Every layer and loss against torch's: PyTorch's own ModuleInfo samples where there are any, our own calls elsewhere."""

import copy
import inspect
import pickle
import re

import pytest
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves, tree_map

import scratchnet.nn as nn

common_modules = pytest.importorskip(
    "torch.testing._internal.common_modules", reason="needs expecttest: pip install expecttest"
)
pytestmark = pytest.mark.filterwarnings("error::scratchnet.TeachingWarning")  # correct programs never see one

CONSTRUCTOR_CALLS = {
    "BCELoss": [(), {"weight": torch.tensor([1.0, 2.0])}, {"reduction": "none"}],
    "BCEWithLogitsLoss": [(), {"weight": torch.tensor([2.0]), "pos_weight": torch.tensor([3.0]), "reduction": "sum"}],
    "CosineEmbeddingLoss": [(), (0.5,), {"reduction": "none"}],
    "AdaptiveAvgPool2d": [(2,), ((2, None),), (None,)],
    "AvgPool2d": [(2,), ((2, 3), 1, (1, 0), True, False, 5), {"kernel_size": 3, "stride": (2, 1)}],
    "BatchNorm1d": [(5,), (5, 1e-3, None), (3, 1e-5, 0.1, False), {"num_features": 4, "bias": False, "dtype": torch.float64}],
    "BatchNorm2d": [(5,), (5, 1e-3, 0.5, True, False), (3, 1e-5, 0.1, False, False)],
    "BatchNorm3d": [(5,), {"num_features": 3, "affine": False, "dtype": torch.float64}],
    "Conv1d": [
        (4, 6, 3),
        (4, 6, 3, 2, 1, 2, 2, False),
        (2, 3, (4,), (1,), "same", (3,), 1, True, "replicate", "cpu", torch.float64),
        {"in_channels": 2, "out_channels": 2, "kernel_size": 5, "padding": (2,), "padding_mode": "circular"},
        (0, 3, 1),
        (3, 0, 1),
    ],
    "Conv2d": [
        (4, 6, 3),
        (4, 6, (3, 2), (2, 1), (1, 2), (2, 1), 2, False),
        (2, 3, (4, 3), 1, "same", (3, 2), 1, True, "replicate", "cpu", torch.float64),
        {"in_channels": 2, "out_channels": 2, "kernel_size": 5, "padding": "valid", "padding_mode": "reflect"},
        (2, 2, 3, 1, (2, 1), 1, 1, True, "circular"),
        (0, 3, 1),
        (3, 0, 1),
    ],
    "CrossEntropyLoss": [(), {"weight": torch.tensor([1.0, 2.0])}, {"reduction": "sum"}, {"label_smoothing": 0.1}],
    "Dropout": [(), (0.3,), {"inplace": True}],
    "Dropout2d": [(), (0.3,), {"inplace": True}],
    "ELU": [(), (0.5, True)],
    "Embedding": [(5, 3), (5, 3, -1, 2.0, 1.0, True, True), {"num_embeddings": 4, "embedding_dim": 2, "dtype": torch.float64}],
    "EmbeddingBag": [
        (5, 3),
        (5, 3, 2.0, 1.0, True, "sum", True, None, True, -2),
        {"num_embeddings": 4, "embedding_dim": 2, "dtype": torch.float64},
    ],
    "Flatten": [(), (0, 2), {"end_dim": -2}],
    "GELU": [(), ("tanh",)],
    "GLU": [(), (0,)],
    "HuberLoss": [(), ("sum", 2)],
    "Identity": [(), (54, "unused", None)],
    "InstanceNorm1d": [(5,), (5, 1e-3, None, True, True), {"num_features": 4, "affine": True, "bias": False}],
    "InstanceNorm2d": [(5,), (5, 1e-3, 0.5, True), {"num_features": 4, "track_running_stats": True, "dtype": torch.float64}],
    "InstanceNorm3d": [(5,), (5, 1e-3, 0.5, True)],
    "KLDivLoss": [(), {"reduction": "batchmean", "log_target": True}],
    "L1Loss": [(), {"reduction": "sum"}],
    "GRU": [(3, 4), (3, 4, 2, False, True, 0.5, True), {"input_size": 1, "hidden_size": 2, "dtype": torch.float64}],
    "LSTM": [(3, 4), (3, 4, 2, False, True, 0.5, True, 2), {"input_size": 1, "hidden_size": 2, "dtype": torch.float64}],
    "LayerNorm": [(5,), ([2, 3],), (5, 1e-3, False), {"normalized_shape": (4,), "bias": False, "dtype": torch.float64}],
    "LeakyReLU": [(), (0.2, True)],
    "Linear": [(3, 4), (3, 4, False), (3, 4, True, "cpu", torch.float64), (0, 2), (2, 0)],
    "LinearCrossEntropyLoss": [
        (3, 4),
        {"in_features": 3, "num_classes": 2, "out_features": (2, 2), "bias": True, "dtype": torch.float64},
        {"in_features": 3, "num_classes": 2, "weight": torch.tensor([1.0, 2.0]), "ignore_index": 1, "label_smoothing": 0.1},
    ],
    "LogSoftmax": [(), (1,)],
    "MSELoss": [(), {"reduction": "none"}],
    "NLLLoss": [(), {"weight": torch.tensor([1.0, 2.0])}, {"ignore_index": 1, "reduction": "none"}],
    "MultiheadAttention": [(6, 2), (6, 3, 0.1, False, True, True, 4), {"embed_dim": 4, "num_heads": 1, "dtype": torch.float64}],
    "MaxPool2d": [(2,), ((2, 3), 1, (1, 0), 2, True, True), {"kernel_size": 3, "stride": (2, 1)}],
    "RNN": [(3, 4), (3, 4, 2, "relu", False, True, 0.5, True), {"input_size": 1, "hidden_size": 2, "dtype": torch.float64}],
    "RMSNorm": [(5,), ([2, 3], 1e-3), (5, None, False), {"normalized_shape": (4,), "dtype": torch.float64}],
    "ReLU": [(), (True,)],
    "SiLU": [(), (True,)],
    "Sigmoid": [()],
    "SmoothL1Loss": [(), {"beta": 0.5}],
    "Softmax": [(), (1,)],
    "Softmax2d": [()],
    "Softmin": [(), (1,)],
    "Softplus": [(), (2, 10.0)],
    "Tanh": [()],
    "TripletMarginLoss": [(), (2.0, 1.0, 1e-5, True), {"reduction": "sum"}],
    "Unflatten": [(1, (2, 3)), (-1, [-1, 2])],
    "Transformer": [
        {"d_model": 4, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 2, "dim_feedforward": 8},
        (4, 1, 1, 1, 8, 0.0, "gelu", None, None, 1e-3, True, True, False, None, torch.float64),
    ],
    "TransformerDecoderLayer": [
        (4, 2, 8),
        (4, 2, 8, 0.0, "gelu", 1e-3, True, True, False),
        {"d_model": 4, "nhead": 2, "activation": torch.nn.functional.gelu, "dtype": torch.float64},
    ],
    "TransformerEncoderLayer": [
        (4, 2, 8),
        (4, 2, 8, 0.0, "gelu", 1e-3, True, True, False),
        {"d_model": 4, "nhead": 2, "activation": torch.nn.functional.gelu, "dtype": torch.float64},
        {"d_model": 4, "nhead": 2, "activation": torch.tanh},
        {"d_model": 4, "nhead": 2, "activation": torch.nn.GELU("tanh")},
    ],
}
INFOS = {i.module_cls.__name__: i for i in common_modules.module_db if i.module_cls.__name__ in CONSTRUCTOR_CALLS}


def call(function, arguments):
    return function(**arguments) if isinstance(arguments, dict) else function(*arguments)


def named(value):
    """A function compared by name: the default activation of a layer is ours, not torch's."""
    return value.__name__ if inspect.isroutine(value) else value


def twins(name, *args, **kwargs):
    """Our module and torch's, from the same seed."""
    built = []
    for library in (nn, torch.nn):
        torch.manual_seed(7)
        built.append(getattr(library, name)(*args, **copy.deepcopy(kwargs)))
    return built


def run(module, sample, dtype):
    """Output and all gradients of one sample, computed in `dtype`; the sample's own tensors are left alone."""

    def copied(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return leaf.detach().clone().to(dtype if leaf.is_floating_point() else leaf.dtype).requires_grad_(leaf.requires_grad)

    args, kwargs = tree_map(copied, (sample.forward_input.args, sample.forward_input.kwargs))
    output = module(*args, **kwargs)
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    leaves += [parameter for parameter in module.parameters() if parameter.requires_grad]
    torch.manual_seed(1)
    outputs = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    learned = [leaf for leaf in outputs if leaf.requires_grad]  # not the indices of a maximum
    grads = [torch.randn(leaf.shape).to(leaf.dtype) for leaf in learned]
    found = torch.autograd.grad(learned, leaves, grads, allow_unused=True) if leaves else ()
    return outputs, [grad if grad is None else grad.to_dense() for grad in found]


def assert_close_or_better(ours, theirs, exact):
    """Close to torch's, or nearer than torch's to the result in float64."""
    try:
        assert_close(ours, theirs, equal_nan=True)
    except AssertionError:
        assert ours.dtype == theirs.dtype and (ours - exact).abs().max() < (theirs - exact).abs().max()


@pytest.mark.filterwarnings(
    "ignore:.*target size",
    "ignore:Implicit dimension",
    "ignore:size_average",
    "ignore:.*'mean' divides",
    "ignore:LSTM with proj",
)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", sorted(INFOS))
def test_pytorchs_own_samples(name, dtype, training):
    count = 0
    for sample in INFOS[name].module_inputs_func(INFOS[name], "cpu", dtype, requires_grad=True, training=training):
        count += 1
        construct = sample.constructor_input
        ours, theirs = (module.to(dtype).train(training) for module in twins(name, *construct.args, **construct.kwargs))
        assert repr(ours) == repr(theirs)
        assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), rtol=0, atol=0)
        outputs, grads = run(ours, sample, dtype)
        expected, expected_grads = run(theirs, sample, dtype)
        exact, exact_grads = run(theirs.double(), sample, torch.float64)
        assert_close(outputs, expected, equal_nan=True)
        for grad, wanted, best in zip(grads, expected_grads, exact_grads, strict=True):
            assert (grad is None) == (wanted is None)
            if wanted is not None:
                assert_close_or_better(grad, wanted, best)
    assert count >= 2


def test_every_module_is_covered():
    """CONSTRUCTOR_CALLS names all layers that torch has too, and PyTorch has samples for all but these."""
    ours = {name for name in nn.__all__ if getattr(getattr(nn, name), "__module__", "").startswith("scratchnet.nn.")}
    ours = {name for name in ours if hasattr(torch.nn, name)} - {"TransformerEncoder"}  # it takes a layer: test_transformer.py
    ours = {name for name in ours if not name.startswith("Lazy")} - {"RNNBase"}  # test_lazy.py; it only is a base
    assert ours == set(CONSTRUCTOR_CALLS)
    assert ours - set(INFOS) <= {
        "Dropout",
        "Dropout2d",
        "EmbeddingBag",
        "Flatten",
        "Identity",
        "TripletMarginLoss",
        "Unflatten",
    }


@pytest.mark.parametrize("name", [name for name in sorted(INFOS) if INFOS[name].module_error_inputs_func])
def test_pytorchs_own_error_inputs(name):
    """The wrong constructor arguments and inputs that PyTorch lists raise its exception type with its words."""
    count = 0
    wrong_calls = INFOS[name].module_error_inputs_func(INFOS[name], "cpu", torch.float32, requires_grad=False, training=True)
    for wrong in wrong_calls:
        count += 1
        construct, inputs = wrong.module_error_input.constructor_input, wrong.module_error_input.forward_input
        building = wrong.error_on is common_modules.ModuleErrorEnum.CONSTRUCTION_ERROR
        module = None if building else getattr(nn, name)(*construct.args, **construct.kwargs)
        with pytest.raises(wrong.error_type) as caught:
            getattr(nn, name)(*construct.args, **construct.kwargs) if building else module(*inputs.args, **inputs.kwargs)
        assert re.search(wrong.error_regex, str(caught.value)), f"{caught.value}\nwanted: {wrong.error_regex}"
    assert count


def parameters(layer):
    """Where torch's signature is only (*args, **kwargs): that of the base class, with the nonlinearity before the bias."""
    names = dict(inspect.signature(layer).parameters)
    if list(names) == ["args", "kwargs"]:
        names = dict(inspect.signature(torch.nn.RNNBase).parameters)
        mode = names.pop("mode")
        if layer is torch.nn.RNN:
            nonlinearity = mode.replace(name="nonlinearity", default="tanh")
            at = list(names).index("bias")
            names = dict([*list(names.items())[:at], ("nonlinearity", nonlinearity), *list(names.items())[at:]])
    return names


@pytest.mark.parametrize("name", CONSTRUCTOR_CALLS)
def test_signature(name):
    ours, theirs = (parameters(getattr(library, name)).values() for library in (nn, torch.nn))
    assert [(p.name, named(p.default), p.kind) for p in ours] == [(p.name, named(p.default), p.kind) for p in theirs]


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(("name", "arguments"), [(name, a) for name, calls in CONSTRUCTOR_CALLS.items() for a in calls])
def test_same_seed_same_module(name, arguments):
    built = []
    for library in (nn, torch.nn):
        torch.manual_seed(3)
        built.append((call(getattr(library, name), arguments), torch.get_rng_state()))
    (ours, our_state), (theirs, their_state) = built
    assert repr(ours) == repr(theirs)
    assert torch.equal(our_state, their_state)  # equally many random numbers drawn
    mine, wanted = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(wanted)
    for key in wanted:
        assert torch.equal(mine[key], wanted[key]) and mine[key].dtype == wanted[key].dtype
    public = {key: named(value) for key, value in vars(theirs).items() if not key.startswith("_")}
    assert public.pop("activation_relu_or_gelu", None) is None or ours.activation_relu_or_gelu == 0  # keeps torch's kernel away
    assert {key: named(vars(ours)[key]) for key in public} == public
    assert isinstance(ours, type(theirs)) and type(ours).forward is not type(theirs).forward


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(("name", "arguments"), [(name, a) for name, calls in CONSTRUCTOR_CALLS.items() for a in calls])
def test_state_dict_round_trip(name, arguments):
    source, target = (call(getattr(library, name), arguments) for library in (nn, torch.nn))
    for a, b in ((source, target), (target, source)):
        for parameter in a.parameters():
            torch.nn.init.normal_(parameter)
        assert str(b.load_state_dict(a.state_dict(), strict=True)) == "<All keys matched successfully>"
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    for copied in (copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        assert repr(copied) == repr(source)
        assert all(torch.equal(x, y) for x, y in zip(copied.parameters(), source.parameters(), strict=True))


@pytest.mark.parametrize("arguments", CONSTRUCTOR_CALLS["Flatten"])
def test_flatten(arguments):
    x = torch.arange(120.0).reshape(2, 3, 4, 5)
    assert torch.equal(call(nn.Flatten, arguments)(x), call(torch.nn.Flatten, arguments)(x))
    assert nn.Flatten()(x).data_ptr() == x.data_ptr()  # a view


def test_flatten_refuses_an_inverted_range():
    with pytest.raises(RuntimeError, match="start_dim cannot come after end_dim"):
        nn.Flatten(2, 1)(torch.zeros(2, 3, 4))


def test_unflatten_undoes_flatten():
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(nn.Unflatten(1, (3, 4))(nn.Flatten()(x)), x)
    with pytest.raises(RuntimeError, match="unflatten.*don't multiply up to the size of dim 1"):
        nn.Unflatten(1, (3, 5))(x)


def test_identity():
    x = torch.arange(3)
    assert nn.Identity(2, name="unused")(x) is x


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["Dropout", "Dropout2d"])
@pytest.mark.parametrize("arguments", CONSTRUCTOR_CALLS["Dropout"])
def test_dropout_draws_torchs_mask(arguments, name, training):
    results = []
    for library in (nn, torch.nn):
        torch.manual_seed(5)
        layer = call(getattr(library, name), arguments).train(training)
        x = torch.linspace(-1, 1, 120).reshape(6, 5, 2, 2)
        y = layer(x)
        assert (y is x) == (not training or layer.inplace)
        results.append((y, torch.get_rng_state()))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


def test_from_pretrained():
    table = torch.randn(6, 3)
    ours, theirs = (library.Embedding.from_pretrained(table, padding_idx=-2, max_norm=None) for library in (nn, torch.nn))
    assert repr(ours) == repr(theirs) and ours.padding_idx == theirs.padding_idx == 4
    assert not ours.weight.requires_grad and ours.weight.data_ptr() == table.data_ptr()
    index = torch.tensor([[0, 4], [5, 5]])
    assert torch.equal(ours(index), theirs(index)) and torch.equal(ours(index)[1, 0], table[5])
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


IMAGES = {"Conv1d": [(4, 9), (4, 8), (2, 7), (2, 5)], "Conv2d": [(4, 5, 6), (4, 7, 5), (2, 8, 6), (2, 6, 5), (2, 4, 3)]}
CONVOLUTIONS = [(name, CONSTRUCTOR_CALLS[name][i], shape) for name, shapes in IMAGES.items() for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("batch", [(), (0,), (3,)], ids=str)
@pytest.mark.parametrize(("name", "arguments", "shape"), CONVOLUTIONS)
def test_convolutions(name, arguments, shape, batch):
    """Every padding mode and option: the output and all gradients."""
    ours, theirs = (call(getattr(library, name), arguments).double() for library in (nn, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(*batch, *shape, dtype=torch.float64, requires_grad=True)
    results = []
    for module in (ours, theirs):
        y = module(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), (x, *module.parameters()))))
    assert_close(*results)


WRONG = [
    (lambda lib: lib.Conv2d(4, 6, 3, groups=3), "Conv2d.*in_channels must be divisible by groups, got 4 and 3"),
    (lambda lib: lib.Conv1d(6, 4, 3, groups=3), "Conv1d.*out_channels must be divisible by groups, got 4 and 3"),
    (lambda lib: lib.Conv1d(6, 4, 3, groups=0), "groups must be a positive integer, got 0"),
    (lambda lib: lib.Conv2d(4, 6, 3, padding="full"), "Invalid padding string 'full', should be one of 'valid', 'same'"),
    (lambda lib: lib.Conv2d(4, 6, 3, 2, "same"), "padding='same' is not supported for strided convolutions"),
    (lambda lib: lib.Conv1d(4, 6, 3, padding_mode="mirror"), "padding_mode must be one of.*'circular'.*'mirror'"),
    (lambda lib: lib.Conv2d(4, 6, "3"), "kernel_size|empty"),
    (lambda lib: lib.Conv2d(2, 3, 3)(torch.zeros(1, 3, 4, 4)), r"conv2d.*input\[1, 3, 4, 4\] to have 2 channels"),
    (lambda lib: lib.Dropout(1.5), "Dropout.*between 0 and 1, but got 1.5"),
    (lambda lib: lib.Dropout(-0.1), "Dropout.*between 0 and 1, but got -0.1"),
    (lambda lib: lib.Embedding(3, 2, padding_idx=3), "Padding_idx must be within num_embeddings.*-3 to 2, got 3"),
    (lambda lib: lib.Embedding(3, 2, padding_idx=-4), "Padding_idx must be within num_embeddings.*got -4"),
    (lambda lib: lib.Embedding(3, 2, _weight=torch.zeros(2, 3)), r"Shape of weight does not match.*\(2, 3\).*\(3, 2\)"),
    (lambda lib: lib.Embedding.from_pretrained(torch.zeros(3)), r"expected to be 2-dimensional, got \(3,\)"),
    (lambda lib: lib.GRU(3, 4, proj_size=2), "proj_size argument is only supported for LSTM, not RNN or GRU"),
    (lambda lib: lib.GRU(3, 4)(torch.zeros(3)), r"GRU.*Expected input to be 2D or 3D, got 1D.*\(3,\)"),
    (lambda lib: lib.GRU(3, 4)(torch.zeros(2, 3), torch.zeros(1, 1, 4)), "For unbatched 2-D input, hx should also be 2-D"),
    (lambda lib: lib.GRU(3, 4)(torch.zeros(2, 5, 3), torch.zeros(1, 4)), "For batched 3-D input, hx should also be 3-D"),
    (
        lambda lib: lib.LSTM(3, 4)(torch.zeros(2, 3), (torch.zeros(1, 4), torch.zeros(4))),
        r"hx and cx.*2-D but got \(2-D, 1-D\)",
    ),
    (
        lambda lib: lib.LSTM(3, 4)(torch.zeros(2, 5, 3), (torch.zeros(1, 5, 4), torch.zeros(1, 5, 3))),
        r"hidden\[1\] size \(1, 5, 4\)",
    ),
    (lambda lib: lib.LSTM(3, 4, proj_size=4), "proj_size has to be smaller than hidden_size.*4 and 4"),
    (lambda lib: lib.LSTM(3, 4, proj_size=-1), "proj_size should be a positive integer or zero.*-1"),
    (lambda lib: lib.LSTM(3, 4, dropout=1.5), r"dropout should be a number in range \[0, 1\].*1.5"),
    (lambda lib: lib.LSTM(3, 4, dropout=True), r"dropout should be a number in range \[0, 1\].*True"),
    (lambda lib: lib.Linear(2.5, 3), "empty"),
    (lambda lib: lib.Linear(-1, 3), "negative dimension"),
    (lambda lib: lib.RNN(3, 4, nonlinearity="sigmoid"), "Unknown nonlinearity 'sigmoid'. Select from 'tanh' or 'relu'"),
    (lambda lib: lib.RNN(3, 4)(torch.zeros(2, 5, 2)), r"input.size\(-1\) must be equal to input_size. Expected 3, got 2"),
    (
        lambda lib: lib.RNN(3, 4)(torch.zeros(2, 5, 3), torch.zeros(1, 4, 4)),
        r"Expected hidden size \(1, 5, 4\), got \[1, 4, 4\]",
    ),
    (lambda lib: lib.RNN(3, 4)(torch.zeros(0, 5, 3)), "Expected sequence length to be larger than 0 in RNN"),
    (lambda lib: lib.RNN(3, 4)(torch.zeros(2, 5, 3), torch.zeros(1, 5, 4).double()), "same dtype|dtype"),
    (lambda lib: lib.MSELoss(reduction="avg")(torch.zeros(2), torch.zeros(2)), "mse_loss.*reduction.*avg is not a valid value"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_wrong_calls(wrong, message):
    with pytest.raises(Exception) as theirs:
        wrong(torch.nn)
    with pytest.raises(theirs.type, match=message) as ours:
        wrong(nn)
    assert ours.type is theirs.type


PARAMETRIZED = {
    "Linear": ((3, 5), torch.randn(2, 3)),
    "LayerNorm": ((3,), torch.randn(2, 3)),
    "RMSNorm": ((3,), torch.randn(2, 3)),
    "Embedding": ((5, 3), torch.tensor([[0, 4], [2, 2]])),
    "EmbeddingBag": ((5, 3), torch.tensor([[0, 4], [2, 2]])),
}


@pytest.mark.parametrize("name", PARAMETRIZED)
@pytest.mark.parametrize("way", ("pruned", "parametrized", "a plain tensor", "functional_call"))
def test_a_weight_that_is_no_parameter_of_the_layer_is_used(name, way):
    """Layers look for their parameters where they lie, not by way of Module.__getattr__."""
    arguments, x = PARAMETRIZED[name]

    def of(module):
        torch.manual_seed(0)
        layer = getattr(module, name)(*arguments)
        if way == "pruned":
            torch.nn.utils.prune.random_unstructured(layer, "weight", 2)
        elif way == "parametrized":
            torch.nn.utils.parametrize.register_parametrization(layer, "weight", torch.nn.Tanh())
        elif way == "a plain tensor":
            weight = layer.weight.detach() * 2
            del layer.weight
            layer.weight = weight
        else:
            return torch.func.functional_call(layer, {"weight": layer.weight.detach() * 2}, (x,))
        return layer(x)

    torch.testing.assert_close(of(nn), of(torch.nn))


def test_legacy_reduction_flags():
    for flags, name in (((None, None), "mean"), ((False, None), "sum"), ((None, False), "none"), ((False, False), "none")):
        for build in (lambda lib, a, b: lib.MSELoss(a, b), lambda lib, a, b: lib.CrossEntropyLoss(None, a, -100, b)):
            if flags == (None, None):
                assert build(nn, *flags).reduction == name
                continue
            with pytest.warns(UserWarning, match=f"please use reduction='{name}'") as caught:
                assert build(nn, *flags).reduction == build(torch.nn, *flags).reduction == name
            assert len(caught) == 2

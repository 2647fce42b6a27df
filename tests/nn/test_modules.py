"""Every layer and loss against torch's: PyTorch's own ModuleInfo samples where it has them, our own calls where it has none."""

import copy
import inspect
import pickle

import pytest
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves, tree_map

import scratchnet.nn as nn

common_modules = pytest.importorskip(
    "torch.testing._internal.common_modules", reason="needs expecttest: pip install expecttest"
)

CONSTRUCTOR_CALLS = {
    "CrossEntropyLoss": [(), {"weight": torch.tensor([1.0, 2.0])}, {"reduction": "sum"}, {"label_smoothing": 0.1}],
    "Dropout": [(), (0.3,), {"inplace": True}],
    "Embedding": [(5, 3), (5, 3, -1, 2.0, 1.0, True, True), {"num_embeddings": 4, "embedding_dim": 2, "dtype": torch.float64}],
    "Flatten": [(), (0, 2), {"end_dim": -2}],
    "GELU": [(), ("tanh",)],
    "GRU": [(3, 4), (3, 4, 2, False, True, 0.5, True), {"input_size": 1, "hidden_size": 2, "dtype": torch.float64}],
    "LSTM": [(3, 4), (3, 4, 2, False, True, 0.5, True, 2), {"input_size": 1, "hidden_size": 2, "dtype": torch.float64}],
    "LayerNorm": [(5,), ([2, 3],), (5, 1e-3, False), {"normalized_shape": (4,), "bias": False, "dtype": torch.float64}],
    "Linear": [(3, 4), (3, 4, False), (3, 4, True, "cpu", torch.float64), (0, 2), (2, 0)],
    "MSELoss": [(), {"reduction": "none"}],
    "RNN": [(3, 4), (3, 4, 2, "relu", False, True, 0.5, True), {"input_size": 1, "hidden_size": 2, "dtype": torch.float64}],
    "RMSNorm": [(5,), ([2, 3], 1e-3), (5, None, False), {"normalized_shape": (4,), "dtype": torch.float64}],
    "ReLU": [(), (True,)],
    "Softmax": [(), (1,)],
}
INFOS = {i.module_cls.__name__: i for i in common_modules.module_db if i.module_cls.__name__ in CONSTRUCTOR_CALLS}


def call(function, arguments):
    return function(**arguments) if isinstance(arguments, dict) else function(*arguments)


def twins(name, *args, **kwargs):
    """Our module and torch's, from the same seed."""
    built = []
    for library in (nn, torch.nn):
        torch.manual_seed(7)
        built.append(getattr(library, name)(*args, **copy.deepcopy(kwargs)))
    return built


def run(module, sample):
    """Output and all gradients of one sample, with the samples' own tensors left alone."""
    args, kwargs = tree_map(
        lambda leaf: leaf.detach().clone().requires_grad_(leaf.requires_grad) if isinstance(leaf, torch.Tensor) else leaf,
        (sample.forward_input.args, sample.forward_input.kwargs),
    )
    output = module(*args, **kwargs)
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    leaves += [parameter for parameter in module.parameters() if parameter.requires_grad]
    torch.manual_seed(1)
    outputs = tree_leaves(output)
    upstream = [torch.randn_like(y) for y in outputs]
    return output, torch.autograd.grad(outputs, leaves, upstream) if leaves else ()


@pytest.mark.filterwarnings("ignore:.*target size", "ignore:Implicit dimension", "ignore:size_average", "ignore:LSTM with proj")
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
        output, grads = run(ours, sample)
        expected, expected_grads = run(theirs, sample)
        assert_close(output, expected, equal_nan=True)
        for grad, wanted in zip(grads, expected_grads, strict=True):
            assert_close(grad.to_dense(), wanted.to_dense(), equal_nan=True)
    assert count >= 2


ERRORS = [name for name, info in INFOS.items() if info.module_error_inputs_func]


@pytest.mark.parametrize("name", ERRORS)
def test_pytorchs_own_error_inputs(name):
    for wrong in INFOS[name].module_error_inputs_func(INFOS[name], "cpu", torch.float32, requires_grad=False, training=True):
        construct, call = wrong.module_error_input.constructor_input, wrong.module_error_input.forward_input
        with pytest.raises(wrong.error_type, match=wrong.error_regex):
            getattr(nn, name)(*construct.args, **construct.kwargs)(*call.args, **call.kwargs)


def test_every_module_with_pytorch_samples_is_covered():
    names = "CrossEntropyLoss Embedding GELU GRU LSTM LayerNorm Linear MSELoss RMSNorm RNN ReLU Softmax"
    assert set(names.split()) <= set(INFOS)


def parameters(layer):
    """Where torch's say only (*args, **kwargs): those of their base, with the nonlinearity in front of the bias."""
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
    ours, theirs = (parameters(getattr(library, name)) for library in (nn, torch.nn))
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [(p.name, p.default, p.kind) for p in theirs.values()]


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(("name", "arguments"), [(name, a) for name, calls in CONSTRUCTOR_CALLS.items() for a in calls])
def test_same_seed_same_module(name, arguments):
    built = []
    for library in (nn, torch.nn):
        torch.manual_seed(3)
        built.append((call(getattr(library, name), arguments), torch.get_rng_state()))
    (ours, our_state), (theirs, their_state) = built
    assert repr(ours) == repr(theirs)
    assert torch.equal(our_state, their_state)  # as many random numbers drawn
    mine, wanted = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(wanted)
    for key in wanted:
        assert torch.equal(mine[key], wanted[key]) and mine[key].dtype == wanted[key].dtype
    public = {key: value for key, value in vars(theirs).items() if not key.startswith("_")}
    assert {key: vars(ours)[key] for key in public} == public
    assert isinstance(ours, torch.nn.Module) and not isinstance(ours, type(theirs))


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


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arguments", CONSTRUCTOR_CALLS["Dropout"])
def test_dropout_draws_torchs_mask(arguments, training):
    results = []
    for library in (nn, torch.nn):
        torch.manual_seed(5)
        layer = call(library.Dropout, arguments).train(training)
        x = torch.linspace(-1, 1, 60).reshape(6, 10)
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


WRONG = [
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


def test_legacy_reduction_flags():
    for flags, name in (((None, None), "mean"), ((False, None), "sum"), ((None, False), "none"), ((False, False), "none")):
        for build in (lambda lib, a, b: lib.MSELoss(a, b), lambda lib, a, b: lib.CrossEntropyLoss(None, a, -100, b)):
            if flags == (None, None):
                assert build(nn, *flags).reduction == name
                continue
            with pytest.warns(UserWarning, match=f"please use reduction='{name}'") as caught:
                assert build(nn, *flags).reduction == build(torch.nn, *flags).reduction == name
            assert len(caught) == 2


def test_a_model_of_ours_is_a_drop_in():
    """Containers, hooks, state_dict, to(dtype), apply and nested attribute names: the same as torch's, layer by layer."""

    def build(layers):
        torch.manual_seed(11)
        return layers.Sequential(
            layers.ModuleDict({"table": layers.Embedding(7, 6)})["table"],
            layers.LayerNorm(6),
            layers.Linear(6, 8),
            layers.GELU("tanh"),
            layers.RMSNorm(8),
            layers.ReLU(),
            layers.Linear(8, 4, bias=False),
            layers.Softmax(-1),
        )

    ours, theirs = build(nn).double(), build(torch.nn).double()
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    index = torch.randint(7, (5, 3))
    seen = []
    ours[2].register_forward_hook(lambda module, args, output: seen.append(output.shape))
    assert_close(ours(index), theirs(index))
    assert seen == [(5, 3, 8)]
    ours(index).square().sum().backward()
    theirs(index).square().sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(a.grad, b.grad)


def test_names_that_torch_has_and_we_do_not():
    with pytest.raises(AttributeError, match="no attribute 'Conv2d'; torch's own works beside ours: torch.nn.Conv2d"):
        nn.Conv2d(1, 1, 2)
    with pytest.raises(AttributeError, match="no attribute 'Konv'$"):
        nn.Konv(1, 1, 2)
    assert not hasattr(nn, "Conv2d")


def test_submodules_import_as_torchs():
    from scratchnet.nn.init import kaiming_uniform_
    from scratchnet.nn.utils import clip_grad_norm_
    from scratchnet.nn.utils.rnn import pad_sequence

    assert kaiming_uniform_ is torch.nn.init.kaiming_uniform_ and clip_grad_norm_ is torch.nn.utils.clip_grad_norm_
    assert pad_sequence is torch.nn.utils.rnn.pad_sequence
    assert all(getattr(nn, name) is getattr(torch.nn, name) for name in ("Module", "Parameter", "Sequential", "ModuleList"))

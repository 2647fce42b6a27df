"""RNN, LSTM and GRU beyond PyTorch's samples: packed sequences, dropout, weights, transforms, errors of the operator."""

import copy
import io
import pickle

import pytest
import torch
import torch._dynamo.testing
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves

import scratchnet
import scratchnet.nn as nn
from scratchnet.functions.recurrence import recurrence

NAMES = ("RNN", "LSTM", "GRU")
LENGTHS = {"sorted": [5, 4, 4, 1], "as they come": [2, 5, 1, 4], "equal": [3, 3]}
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections", "ignore:dropout option adds")
every_name = pytest.mark.parametrize("name", NAMES)


def twins(name, *args, **kwargs):
    """Our layer and torch's, from the same seed, in float64."""
    built = []
    for library in (nn, torch.nn):
        torch.manual_seed(7)
        built.append(getattr(library, name)(*args, **kwargs, dtype=torch.float64))
    return built


def state(name, *shape):
    """An initial state that requires a gradient; an LSTM's is a pair."""
    h, c = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return (h, c) if name == "LSTM" else h


def gradients(output, leaves):
    outputs = tree_leaves(output)
    return torch.autograd.grad(outputs, leaves, [torch.cos(torch.arange(y.numel()).to(y)).view(y.shape) for y in outputs])


def same(name, ours, theirs, x, hx, call=lambda layer, x, hx: layer(x, hx)):
    """Outputs and all gradients of `call` agree."""
    leaves = [t for t in tree_leaves((x, hx)) if isinstance(t, torch.Tensor)]
    results = []
    for layer in (ours, theirs):
        torch.manual_seed(1)
        output = call(layer, x, hx)
        results.append((tree_leaves(output), gradients(output, [*leaves, *layer.parameters()])))
    assert_close(results[0], results[1])


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@every_name
def test_packed_sequences(name, bidirectional, given, lengths):
    sizes = LENGTHS[lengths]
    ours, theirs = twins(name, 3, 4, num_layers=2, bidirectional=bidirectional, dropout=0.3)
    x = torch.randn(max(sizes), len(sizes), 3, dtype=torch.float64, requires_grad=True)
    hx = state(name, 2 * (1 + bidirectional), len(sizes), 4) if given else None

    def call(layer, x, hx):
        packed = pack_padded_sequence(x, torch.tensor(sizes), enforce_sorted=lengths == "sorted")
        output, last = layer(packed, hx)
        assert isinstance(output, PackedSequence) and torch.equal(output.batch_sizes, packed.batch_sizes)
        return pad_packed_sequence(output)[0], last

    same(name, ours, theirs, x, hx, call)
    same(name, ours.eval(), theirs.eval(), x, hx, call)


@every_name
def test_a_packed_sequence_is_each_sequence_alone(name):
    layer, _ = twins(name, 3, 4, bidirectional=True)
    sequences = [torch.randn(n, 3, dtype=torch.float64) for n in (2, 5, 1, 4)]
    output, last = layer(pack_sequence(sequences, enforce_sorted=False))
    padded, lengths = pad_packed_sequence(output)
    for i, sequence in enumerate(sequences):
        alone, last_alone = layer(sequence)
        assert_close(padded[: lengths[i], i], alone)
        assert_close([s[:, i] for s in tree_leaves(last)], tree_leaves(last_alone))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.5, 1.0])
@every_name
def test_padded_with_dropout(name, dropout, batch_first):
    ours, theirs = twins(name, 3, 4, num_layers=3, batch_first=batch_first, dropout=dropout, bidirectional=True)
    x = torch.randn(5, 6, 3, dtype=torch.float64, requires_grad=True)
    hx = state(name, 6, 5 if batch_first else 6, 4)
    same(name, ours, theirs, x, hx)
    same(name, ours.eval(), theirs.eval(), x, hx)


def test_projection_packed():
    ours, theirs = twins("LSTM", 3, 5, num_layers=2, proj_size=2, bidirectional=True)
    x = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    hx = torch.randn(4, 4, 2, dtype=torch.float64, requires_grad=True), state("GRU", 4, 4, 5)
    same("LSTM", ours, theirs, x, hx)
    same("LSTM", ours, theirs, x, hx, lambda layer, x, hx: [layer(pack_padded_sequence(x, torch.tensor([5, 3, 3, 1])), hx)[1]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@every_name
def test_dtypes(name, dtype):
    """Results have the dtype of the parameters, and 16-bit ones are nearer to float64 than torch's."""
    ours, theirs = twins(name, 33, 40, num_layers=2)
    x = torch.randn(20, 3, 33, dtype=torch.float64).to(dtype).double()
    for parameter in ours.parameters():
        parameter.data = parameter.data.to(dtype).double()
    exact = tree_leaves(ours(x))
    theirs.load_state_dict(ours.state_dict())
    mine, own = (tree_leaves(layer.to(dtype)(x.to(dtype))) for layer in (ours, theirs))
    for a, b, oracle in zip(mine, own, exact, strict=True):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        error, bound = (a.double() - oracle).abs().max(), (b.double() - oracle).abs().max()
        assert error <= 2 * bound + 4 * torch.finfo(dtype).eps * oracle.abs().max()


@every_name
def test_state_of_no_sequences(name):
    ours, theirs = twins(name, 3, 4, bidirectional=True)
    x = torch.zeros(5, 0, 3, dtype=torch.float64)
    for a, b in zip(tree_leaves(ours(x)), tree_leaves(theirs(x)), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype


@every_name
def test_not_a_number_and_infinity(name):
    """They reach the same steps and sequences as in torch."""
    ours, theirs = twins(name, 3, 4)
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    x[1, 0, 1], x[2, 1, 0], x[2, 2, 2] = torch.nan, torch.inf, -torch.inf
    assert_close(ours(x), theirs(x), equal_nan=True)


@every_name
def test_weights(name):
    ours, theirs = twins(name, 3, 4, num_layers=2, bidirectional=True)
    assert_close(ours.all_weights, theirs.all_weights, rtol=0, atol=0)
    assert ours.all_weights[1][1] is ours.weight_hh_l0_reverse and ours.flatten_parameters() is None
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert_close(copied(x), ours(x), rtol=0, atol=0)
        copied.weight_hh_l0.data.zero_()
        assert not torch.equal(copied(x)[0], ours(x)[0])
    ours.weight_ih_l0 = torch.nn.Parameter(torch.zeros_like(ours.weight_ih_l0))  # a parameter replaced is a parameter used
    theirs.weight_ih_l0 = torch.nn.Parameter(torch.zeros_like(theirs.weight_ih_l0))
    assert_close(ours(x), theirs(x))
    swapped = torch.func.functional_call(ours, {"bias_hh_l1": torch.ones_like(ours.bias_hh_l1)}, x)
    assert not torch.equal(swapped[0], ours(x)[0])


@every_name
def test_dropout_of_one_layer_warns(name):
    with pytest.warns(UserWarning, match="expects num_layers greater than 1, but got dropout=0.5 and num_layers=1") as caught:
        getattr(nn, name)(3, 4, dropout=0.5)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("packed", [True, False])
@every_name
def test_second_derivatives(name, packed):
    layer, _ = twins(name, 2, 2, num_layers=2, bidirectional=True)
    x, hx = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True), tree_leaves(state(name, 4, 2, 2))

    def call(x, *hx):
        given = hx if name == "LSTM" else hx[0]
        output, last = layer(pack_padded_sequence(x, torch.tensor([3, 2])) if packed else x, given)
        return tuple(tree_leaves((output.data if packed else output, last)))

    assert torch.autograd.gradcheck(call, (x, *hx))
    assert torch.autograd.gradgradcheck(call, (x, *hx))


@every_name
def test_compile(name):
    """In one graph, which has to be requested, as for any RNN; the same graph serves another length and batch."""
    ours, theirs = twins(name, 3, 4, num_layers=2, bidirectional=True, batch_first=True)
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    run = torch._dynamo.config.patch(allow_rnn=True)(torch.compile(ours, fullgraph=True, backend=counter))
    for batch, steps in ((2, 5), (3, 6), (4, 9), (6, 7)):
        x = torch.randn(batch, steps, 3, dtype=torch.float64, requires_grad=True)
        mine, own = run(x), theirs(x)
        assert_close(mine, own)
        assert_close(gradients(mine, [x, *ours.parameters()]), gradients(own, [x, *theirs.parameters()]))
    assert counter.frame_count <= 2


@pytest.mark.parametrize("backend", ["cpp:1", "numpy", "reference", None])
@every_name
def test_other_backends(name, backend):
    ours, theirs = twins(name, 3, 4, num_layers=2, bidirectional=True)
    x = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    call = lambda layer, x, hx: [layer(pack_padded_sequence(x, torch.tensor([5, 3, 3, 1])), hx)[1]]
    with scratchnet.backend(backend):
        same(name, ours, theirs, x, state(name, 4, 4, 4), call)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits_for_any_number_of_threads(threads):
    """Many sequences of many lengths: more than one block per thread."""
    layer = nn.LSTM(20, 300, bidirectional=True)
    lengths = torch.randint(1, 9, (130,))
    packed = pack_padded_sequence(torch.randn(8, 130, 20), lengths, enforce_sorted=False)
    results = []
    for count in (1, threads):
        torch.set_num_threads(count)
        output = layer(packed)
        results.append((tree_leaves(output), gradients((output[0].data, output[1]), list(layer.parameters()))))
    assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (7, 1), (4, 2), (1, 9)])
@every_name
def test_few_sequences_or_steps(name, steps, batch):
    """Whose weights are read where they lie, by all threads."""
    options = {"bidirectional": True} if name != "LSTM" else {"proj_size": 40}
    ours, theirs = twins(name, 20, 97, num_layers=2, **options)
    x = torch.randn(steps, batch, 20, dtype=torch.float64, requires_grad=True)
    same(name, ours, theirs, x, None)
    layer = getattr(nn, name)(20, 700)  # where a step is worth a second thread
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        output = layer(x.detach().float())
        results.append((tree_leaves(output), gradients(output, list(layer.parameters()))))
    assert_close(results[0], results[1], rtol=0, atol=0)


X, W_IH, W_HH, H0 = torch.zeros(3, 2, 5), torch.zeros(16, 5), torch.zeros(16, 4), torch.zeros(2, 4)
PACKED = {"input": torch.zeros(3, 5)}
WRONG_OPERATOR_CALLS = [
    ({"mode": "rnn"}, ValueError, "mode.*'rnn_tanh'.*got 'rnn'"),
    ({"input": X.long()}, NotImplementedError, "input.*Long"),
    ({"input": X[0]}, RuntimeError, r"input must have 3 dimensions.*\(2, 5\)"),
    ({"input": X[:0]}, RuntimeError, "sequence length to be larger than 0"),
    ({"c0": None}, RuntimeError, "c0.*LSTM starts with cells"),
    ({"mode": "gru"}, RuntimeError, "c0.*only an LSTM has it.*'gru'"),
    ({"h0": None}, TypeError, "h0.*must be Tensor, not NoneType"),
    ({"h0": torch.zeros(2, 4).double()}, RuntimeError, "h0.*same dtype.*h0.float"),
    ({"h0": torch.zeros(2, 4, device="meta")}, RuntimeError, "h0.*same device"),
    ({"h0": torch.zeros(4)}, RuntimeError, r"h0.*2 dimensions.*\(4,\)"),
    ({"h0": torch.zeros(3, 4), "c0": torch.zeros(3, 4)}, RuntimeError, r"h0.*expected shape \(2, 4\).*got \(3, 4\)"),
    ({"weight_ih": W_IH[:, :3]}, RuntimeError, r"weight_ih.*expected shape \(16, 5\).*got \(16, 3\)"),
    ({"weight_hh": W_HH[:12]}, RuntimeError, r"weight_hh.*expected shape \(16, 4\).*got \(12, 4\)"),
    ({"bias_hh": torch.zeros(4)}, RuntimeError, r"bias_hh.*expected shape \(16,\).*got \(4,\)"),
    ({"c0": torch.zeros(2, 3)}, RuntimeError, r"c0.*expected shape \(2, 4\).*got \(2, 3\)"),
    ({"weight_hr": torch.zeros(3, 4)}, RuntimeError, r"weight_hr.*expected shape \(4, 4\).*got \(3, 4\)"),
    ({**PACKED, "batch_sizes": torch.tensor([2.0, 1.0])}, RuntimeError, "batch_sizes.*int64 on the CPU.*float32"),
    ({**PACKED, "batch_sizes": torch.tensor([1, 2])}, RuntimeError, r"batch_sizes.*must not increase.*2 sequences.*\[1, 2\]"),
    ({**PACKED, "batch_sizes": torch.tensor([2, 2])}, RuntimeError, r"batch_sizes.*input's 3 rows.*\[2, 2\]"),
    ({**PACKED, "batch_sizes": torch.tensor([2, 2, -1])}, RuntimeError, r"batch_sizes.*\[2, 2, -1\]"),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG_OPERATOR_CALLS, ids=[m for _, _, m in WRONG_OPERATOR_CALLS])
def test_wrong_calls_of_the_operator(change, error, message):
    good = {"input": X, "weight_ih": W_IH, "weight_hh": W_HH, "bias_ih": None, "bias_hh": None, "h0": H0, "c0": H0}
    recurrence(**good)
    with pytest.raises(error, match=rf"^recurrence\(\): argument .*{message}"):
        recurrence(**good | change)


@pytest.mark.parametrize("backend", ["cpp", "cpp:1", "numpy", "reference", None])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name, options", [(name, {}) for name in NAMES] + [("RNN", {"nonlinearity": "relu"})])
def test_the_output_may_be_changed_in_place(name, options, packed, dtype, backend):
    """Before backward, as in torch: for a mask, a dropout. What backward needs of it is kept elsewhere."""
    ours, theirs = (layer.to(dtype) for layer in twins(name, 3, 4, **options))
    x = torch.randn(5, 2, 3, dtype=dtype)
    results = []
    for layer, in_place in ((ours, True), (ours, False), (theirs, False)):
        with scratchnet.backend(backend):
            y, _ = layer(pack_padded_sequence(x, torch.tensor([5, 3])) if packed else x)
            y = y.data if packed else y
            y = y.mul_(0.5) if in_place else y * 0.5
            results.append(torch.autograd.grad(y.square().sum(), list(layer.parameters())))
    assert_close(results[0], results[1], rtol=0, atol=0)
    assert_close(results[0], results[2], **({"rtol": 0.1, "atol": 0.1} if dtype == torch.bfloat16 else {}))


@every_name
def test_an_accelerated_layer_can_be_pickled(name):
    """torch's layer keeps weak references to its parameters, which cannot be pickled."""
    model = torch.nn.Sequential(getattr(torch.nn, name)(3, 4, 2, bidirectional=True))
    scratchnet.accelerate(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    x = torch.randn(5, 2, 3)
    for copied in (torch.load(file, weights_only=False), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert type(copied[0]) is getattr(nn, name)
        assert_close(copied(x), model(x), rtol=0, atol=0)


@pytest.mark.parametrize("backend", ("cpp", "cpp:1"))
def test_an_infinite_gradient_of_a_gru_is_torchs(backend):
    """torch's two terms of the candidate's gradient cancel to NaN."""
    theirs, ours = torch.nn.GRU(3, 4), scratchnet.nn.GRU(3, 4)
    ours.load_state_dict(theirs.state_dict())
    x, gradients = torch.randn(2, 1, 3), []
    for layer, name in ((theirs, None), (ours, backend)):
        leaf = x.clone().requires_grad_()
        with scratchnet.backend(name):
            y, _ = layer(leaf)
            y.backward(torch.full_like(y, torch.inf))
        gradients.append([leaf.grad, *(p.grad for p in layer.parameters())])
    for our, their in zip(gradients[1], gradients[0], strict=True):
        assert torch.equal(our.isnan(), their.isnan()) and torch.equal(our.isinf(), their.isinf())

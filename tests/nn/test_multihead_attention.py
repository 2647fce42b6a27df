"""MultiheadAttention against torch's beyond PyTorch's own samples: batches, masks, dropout, layouts, dtypes, transforms."""

import copy

import pytest
import torch
from cases import assert_as_accurate
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing import assert_close

import scratchnet
from scratchnet import nn

L, S, N, E, HEADS = 5, 7, 3, 8, 2

CONSTRUCTORS = {
    "plain": {},
    "batch_first": {"batch_first": True},
    "no bias": {"bias": False, "batch_first": True},
    "extended": {"add_bias_kv": True, "add_zero_attn": True},
    "other sizes": {"kdim": 5, "vdim": 3, "batch_first": True},
    "other sizes, extended, no bias": {"kdim": 5, "bias": False, "add_bias_kv": True},
}
BOOLS, FLOATS = (torch.rand(L, S, generator=torch.Generator().manual_seed(3)) > 0.6), torch.linspace(-2, 2, L * S).reshape(L, S)
PADDING = torch.arange(S) >= torch.tensor([[S], [4], [2]])
MASKS = {
    "none": {},
    "bool": {"attn_mask": BOOLS},
    "float": {"attn_mask": FLOATS},
    "bool per head": {"attn_mask": torch.stack([BOOLS.roll(k, 1) for k in range(N * HEADS)])},
    "padding": {"key_padding_mask": PADDING},
    "float padding": {"key_padding_mask": PADDING * -3.0},
    "both": {"attn_mask": BOOLS & (torch.arange(S) > 0), "key_padding_mask": PADDING},
}


def twins(**kwargs):
    """Ours and torch's with the same random parameters, biases included."""
    ours, theirs = nn.MultiheadAttention(E, HEADS, **kwargs), torch.nn.MultiheadAttention(E, HEADS, **kwargs)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def inputs(layer, batched=True):
    shapes = [(L, N, E), (S, N, layer.kdim), (S, N, layer.vdim)]
    if layer.batch_first:
        shapes = [(n, length, e) for length, n, e in shapes]
    if not batched:
        shapes = [(length, e) for length, e in ((L, E), (S, layer.kdim), (S, layer.vdim))]
    return [torch.randn(shape, dtype=layer.out_proj.weight.dtype) for shape in shapes]


def results(layer, tensors, **kwargs):
    """Outputs and all gradients."""
    leaves = {id(t): t.detach().clone().requires_grad_() for t in tensors}  # a tensor that occurs twice stays one tensor
    outputs = [t for t in layer(*(leaves[id(t)] for t in tensors), **kwargs) if t is not None]
    torch.manual_seed(1)
    upstream = [torch.randn(t.shape, dtype=t.dtype) for t in outputs]
    wanted = [*leaves.values(), *layer.parameters()]
    return outputs, torch.autograd.grad(outputs, wanted, upstream, allow_unused=True)


@pytest.mark.parametrize("need", [{"need_weights": False}, {}, {"average_attn_weights": False}], ids=["fast", "mean", "heads"])
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("options", CONSTRUCTORS)
def test_cross_attention(options, masks, need):
    ours, theirs = twins(**CONSTRUCTORS[options])
    tensors = inputs(ours)
    assert_close(results(ours, tensors, **MASKS[masks], **need), results(theirs, tensors, **MASKS[masks], **need))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("same", [(0, 0, 0), (0, 1, 1), (0, 0, 1)], ids=["self", "key is value", "query is key"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_one_tensor_in_several_places(batch_first, same, batched, need_weights):
    ours, theirs = twins(batch_first=batch_first)
    pair = [inputs(ours, batched)[0] for _ in range(2)]
    tensors = [pair[k] for k in same]
    kwargs = {"need_weights": need_weights}
    assert_close(results(ours, tensors, **kwargs), results(theirs, tensors, **kwargs))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("padding", [None, PADDING[:, :L]])
def test_the_causal_hint_changes_nothing(padding, need_weights):
    ours, theirs = twins(batch_first=True)
    x = inputs(ours)[0]
    mask = torch.ones(L, L, dtype=torch.bool).triu(1)
    kwargs = {"attn_mask": mask, "key_padding_mask": padding, "need_weights": need_weights}
    plain = results(ours, [x, x, x], **kwargs)
    assert_close(results(ours, [x, x, x], is_causal=True, **kwargs), plain)
    assert_close(results(theirs, [x, x, x], is_causal=True, **kwargs), plain)
    extended, _ = twins(batch_first=True, add_bias_kv=True)
    assert_close(extended(x, x, x, is_causal=True, **kwargs)[0], extended(x, x, x, **kwargs)[0])


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_draws_torchs_mask(need_weights):
    ours, theirs = twins(dropout=0.4)
    tensors = inputs(ours)
    for training in (True, False):
        found = []
        for layer in (ours.train(training), theirs.train(training)):
            torch.manual_seed(2)
            found.append((*layer(*tensors, need_weights=need_weights), torch.get_rng_state()))
        assert_close(*found)
    with torch.no_grad():  # torch's fused inference path
        assert_close(ours(*tensors, need_weights=need_weights), theirs(*tensors, need_weights=need_weights))


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_query_without_keys(need_weights):
    """All keys hidden: torch's NaN with weights, torch's zeros without."""
    ours, theirs = twins()
    tensors = inputs(ours)
    padding = torch.tensor([[False] * S, [True] * S, [False] * S])
    kwargs = {"key_padding_mask": padding, "need_weights": need_weights}
    assert_close(ours(*tensors, **kwargs), theirs(*tensors, **kwargs), equal_nan=True)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("shape", [(0, N, E), (L, 0, E)], ids=["no queries", "no batch"])
def test_zero_sizes(shape, need_weights):
    ours, theirs = twins()
    q, k = torch.randn(shape), torch.randn(S, shape[1], E)
    assert_close(ours(q, k, k, need_weights=need_weights), theirs(q, k, k, need_weights=need_weights))


def test_strided_inputs():
    ours, theirs = twins(batch_first=True)
    q, k, v = (torch.randn(2 * N, E, length).mT[::2] for length in (L, S, S))
    v = v[:1].expand(N, S, E)
    assert_close(results(ours, [q, k, v]), results(theirs, [q, k, v]))


@pytest.mark.parametrize("need_weights", [True, False])
def test_learned_mask(need_weights):
    """A float mask may be a parameter, such as a bias for the distance of query and key."""
    found = []
    layers = [layer.double() for layer in twins()]
    tensors = inputs(layers[0])
    for layer in layers:
        mask = FLOATS.double().requires_grad_()
        output, _ = layer(*tensors, attn_mask=mask, need_weights=need_weights)
        found.append(torch.autograd.grad(output.square().sum(), mask))
    assert_close(*found)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("options", ["plain", "extended", "other sizes"])
def test_gradcheck(options, need_weights):
    layer = twins(**CONSTRUCTORS[options])[0].double()
    tensors = [t[:2, :2].requires_grad_() for t in inputs(layer)]
    parameters = list(layer.parameters())

    def call(*leaves):
        state = dict(zip(dict(layer.named_parameters()), leaves[3:], strict=True))
        outputs = torch.func.functional_call(layer, state, leaves[:3], {"need_weights": need_weights})
        return tuple(t for t in outputs if t is not None)

    assert torch.autograd.gradcheck(call, (*tensors, *parameters), fast_mode=True)
    with sdpa_kernel(SDPBackend.MATH):  # torch's other kernels raise: they have no second derivative
        assert torch.autograd.gradgradcheck(call, (*tensors, *parameters), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("need_weights", [True, False])
def test_half_precision(dtype, need_weights):
    """No further from float64 than twice torch."""
    ours, theirs = (layer.to(dtype) for layer in twins(batch_first=True))
    tensors = inputs(ours)
    kwargs = {"attn_mask": BOOLS, "need_weights": need_weights}
    exact = copy.deepcopy(theirs).double()(*(t.double() for t in tensors), **kwargs)[0]
    (mine, *_), (wanted, *_) = ours(*tensors, **kwargs), theirs(*tensors, **kwargs)
    assert mine.dtype == dtype
    error, own = ((t - exact).abs().max() for t in (mine, wanted))
    assert error <= 2 * own + 4 * torch.finfo(dtype).eps * exact.abs().max()


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("options", ["plain", "extended"])
def test_autocast(options, need_weights):
    ours, theirs = twins(**CONSTRUCTORS[options])
    tensors = inputs(ours)
    with torch.autocast("cpu", torch.bfloat16):
        mine, wanted = (layer(*tensors, attn_mask=BOOLS, need_weights=need_weights) for layer in (ours, theirs))
    assert mine[0].dtype == torch.bfloat16
    exact = theirs.double()(*(t.double() for t in tensors), attn_mask=BOOLS, need_weights=need_weights)
    for ours, own, best in zip(mine, wanted, exact, strict=True):
        if best is not None:
            assert_as_accurate(ours, own, best)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("options", ["batch_first", "extended"])
def test_compiled(options, need_weights):
    ours, _ = twins(**CONSTRUCTORS[options])
    tensors = inputs(ours)
    kwargs = {"attn_mask": BOOLS, "key_padding_mask": PADDING, "need_weights": need_weights}
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
    assert_close(results(compiled, tensors, **kwargs), results(ours, tensors, **kwargs))


def test_masks_of_two_types_warn_as_in_torch():
    ours, theirs = twins()
    tensors = inputs(ours)
    for layer in (ours, theirs):
        with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask is deprecated"):
            layer(*tensors, key_padding_mask=PADDING, attn_mask=FLOATS)


def test_every_backend():
    layer, _ = twins()
    tensors = inputs(layer)
    expected = layer(*tensors)
    for backend in ("cpp:1", "numpy", "reference", None):
        with scratchnet.backend(backend):
            assert_close(layer(*tensors), expected)


@pytest.mark.parametrize(
    "mask", [torch.ones(8, 8).triu(1).bool(), torch.zeros(2, 3), torch.zeros(1, 9, 9)], ids=["longer", "shorter", "3-D"]
)
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_the_causal_hint_stands_for_a_mask_of_any_length(batch_first, batched, mask):
    """torch does not read the mask then: one for the longest sequence serves all."""
    if mask.dim() == 3 and not batched:
        pytest.skip("torch refuses three axes without a batch")
    ours, theirs = twins(batch_first=batch_first)
    x = inputs(ours, batched)[0]
    kwargs = {"need_weights": False, "is_causal": True}
    got = results(ours, [x, x, x], attn_mask=mask, **kwargs)
    assert_close(got, results(theirs, [x, x, x], attn_mask=mask, **kwargs))
    right = torch.ones(L, L, dtype=torch.bool).triu(1)
    assert_close(got, results(ours, [x, x, x], attn_mask=right, need_weights=False))
    extended, _ = twins(batch_first=batch_first, add_bias_kv=True, add_zero_attn=True)
    expected = extended(x, x, x, attn_mask=right, need_weights=False)[0]
    assert_close(extended(x, x, x, attn_mask=mask, **kwargs)[0], expected)


@pytest.mark.parametrize("kwargs", [{"need_weights": True}, {"need_weights": False, "key_padding_mask": PADDING[:, :L]}])
def test_a_mask_that_is_read_has_to_fit(kwargs):
    ours, theirs = twins(batch_first=True)
    x = inputs(ours)[0]
    for layer in (ours, theirs):
        with pytest.raises(RuntimeError, match=r"The shape of the 2D attn_mask is .*8, 8.* but should be \(5, 5\)"):
            layer(x, x, x, attn_mask=torch.ones(8, 8, dtype=torch.bool).triu(1), is_causal=True, **kwargs)


def test_dropout_from_a_seed():
    ours, theirs = twins(dropout=0.4, batch_first=True)
    x = inputs(ours)[0].detach()
    ours.redraw = True
    results = []
    with scratchnet.backend("cpp"):
        for layer in (ours, ours, theirs):
            torch.manual_seed(6)
            results.append(layer(x, x, x, need_weights=False)[0])
        assert torch.equal(*results[:2]) and not torch.allclose(results[0], results[2])
        torch.manual_seed(6)
        q, k, v = (t.transpose(1, 2) for t in ours._project(x, x, x, batched=True))
        y = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.4)
    assert_close(results[0], ours.out_proj(y.transpose(1, 2).flatten(2)))
    with torch.no_grad():
        assert_close(ours.eval()(x, x, x, need_weights=False), theirs.eval()(x, x, x, need_weights=False))

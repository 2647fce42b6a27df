"""nn.utils: our gradient clipping against torch's; everything else is torch's."""

import copy
import inspect

import pytest
import torch
from torch.testing import assert_close

from scratchnet.nn import utils

SIZES = ((3,), (4, 2), (), (0, 3), (70, 30))


def parameters(scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    built = [torch.nn.Parameter(torch.zeros(size, dtype=dtype)) for size in SIZES]
    for p in built[:4] + built[4:]:
        p.grad = (scale * torch.randn(p.shape, generator=generator, dtype=torch.float64)).to(dtype)
    return [*built, torch.nn.Parameter(torch.zeros(2))]  # one without a gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("norm_type", [2, 1.0, "inf", 3.5, 0])
@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e6])
def test_clip_grad_norm(max_norm, norm_type, dtype):
    ours, theirs = parameters(dtype=dtype), parameters(dtype=dtype)
    if norm_type == "inf":
        ours, theirs = ([p for p in list_ if p.numel()] for list_ in (ours, theirs))
    before = [None if p.grad is None else p.grad.clone() for p in ours]
    norm = utils.clip_grad_norm_(ours, max_norm, norm_type)
    assert_close(norm, torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type), rtol=0, atol=0)
    for p, q, old in zip(ours, theirs, before, strict=True):
        assert p.grad is None if old is None else torch.equal(p.grad, q.grad)
        assert old is None or torch.equal(p.grad, old) == (norm + 1e-6 <= max_norm or not old.any())


@pytest.mark.parametrize(
    "give", [lambda p: p[4], iter, tuple, lambda p: (q for q in p)], ids=["tensor", "iter", "tuple", "generator"]
)
def test_what_may_come(give):
    ours, theirs = parameters(), parameters()
    assert torch.equal(utils.clip_grad_norm_(give(ours), 0.5), torch.nn.utils.clip_grad_norm_(give(theirs), 0.5))
    assert all(p.grad is q.grad is None or torch.equal(p.grad, q.grad) for p, q in zip(ours, theirs, strict=True))


def test_nothing_to_clip():
    assert utils.clip_grad_norm_([], 1.0) == 0 and utils.clip_grad_norm_([torch.zeros(2, requires_grad=True)], 1.0) == 0
    generator = torch.nn.Linear(2, 2).parameters()
    list(generator)
    with pytest.warns(UserWarning, match="`parameters` is an empty generator.*read once") as caught:
        utils.clip_grad_norm_(generator, 1.0)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_not_finite(bad):
    params = parameters()
    params[0].grad[1] = bad
    before = [copy.copy(p.grad) for p in params]
    with pytest.raises(RuntimeError, match="total norm of order 2.0 for gradients from `parameters` is non-finite"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    for p, old in zip(params, before, strict=True):
        assert old is None or torch.equal(p.grad.nan_to_num(), old.nan_to_num())
    theirs = parameters()
    theirs[0].grad[1] = bad
    assert_close(
        utils.clip_grad_norm_(params, 1.0), torch.nn.utils.clip_grad_norm_(theirs, 1.0), equal_nan=True, rtol=0, atol=0
    )
    assert_close([p.grad for p in params[:5]], [p.grad for p in theirs[:5]], equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("name", utils.__all__)
def test_signature(name):
    ours, theirs = (inspect.signature(getattr(library, name)).parameters.values() for library in (utils, torch.nn.utils))
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]


def test_the_rest_is_torchs():
    from scratchnet.nn.utils import prune
    from scratchnet.nn.utils.parametrizations import weight_norm
    from scratchnet.nn.utils.rnn import pad_sequence

    assert prune is torch.nn.utils.prune and weight_norm is torch.nn.utils.parametrizations.weight_norm
    assert pad_sequence is torch.nn.utils.rnn.pad_sequence and utils.vector_to_parameters is torch.nn.utils.vector_to_parameters
    with pytest.raises(AttributeError):
        utils.nothing  # noqa: B018

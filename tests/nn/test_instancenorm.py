"""instance_norm and its layers: values, gradients, running statistics, and where they differ from batch_norm."""

import pytest
import torch
import torch.nn.functional as TF
from torch.testing import assert_close

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import nn

SHAPES = [(2, 3, 5), (1, 4, 2), (3, 2, 4, 5), (2, 3, 40, 33), (2, 2, 3, 4, 5), (2, 3, 0, 4)]


@pytest.mark.parametrize("backend", ["cpp", "cpp:1", "reference", "numpy"])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_torchs(shape, affine, backend):
    x = torch.randn(shape, dtype=torch.float64) * 3 + 10
    leaves = [x] + [torch.randn(shape[1], dtype=torch.float64) for _ in range(2 * affine)]
    results = []
    for function in (F.instance_norm, TF.instance_norm):
        taken = [t.clone().requires_grad_() for t in leaves]
        running = [torch.ones(shape[1], dtype=torch.float64), torch.full(shape[1:2], 2.0, dtype=torch.float64)]
        with scratchnet.backend(backend):
            y = function(taken[0], *running, *taken[1:], momentum=0.3, eps=1e-3)
        grads = torch.autograd.grad(y, taken, y.detach().sin())
        with scratchnet.backend(backend):
            by_running = function(x, *running, *taken[1:], use_input_stats=False)
        results.append((y, *grads, *running, by_running))
    assert_close(*results)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_as_accurate_as_torchs(dtype):
    x = (torch.randn(4, 8, 20, 20) * 5 + 30).to(dtype)
    exact = TF.instance_norm(x.double())
    mine, own = ((f.instance_norm(x).double() - exact).abs().max() for f in (F, TF))
    assert mine <= 2 * own + 4 * torch.finfo(dtype).eps * exact.abs().max()


def test_strides_and_subclasses():
    x = torch.randn(5, 4, 3, 2, dtype=torch.float64)
    for view in (x.mT, x.transpose(0, 1), x.to(memory_format=torch.channels_last), x[:, ::2], x[:1].expand(3, 4, 3, 2)):
        assert_close(F.instance_norm(view), TF.instance_norm(view))
    stacked = torch.func.vmap(F.instance_norm)(x.unsqueeze(0))
    assert_close(stacked, TF.instance_norm(x).unsqueeze(0))
    assert_close(torch.func.jvp(F.instance_norm, (x,), (x.sin(),)), torch.func.jvp(TF.instance_norm, (x,), (x.sin(),)))


def test_no_samples():
    """torch's raises IndexError as soon as there is a weight."""
    weight = torch.ones(3, requires_grad=True)
    y = F.instance_norm(torch.ones(0, 3, 4), weight=weight)
    assert y.shape == (0, 3, 4) and torch.equal(torch.autograd.grad(y.sum(), weight)[0], torch.zeros(3))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layers(axes):
    """A batch and a single sample, training and evaluation, and the numbers of channels that do not fit."""
    name = f"InstanceNorm{axes}d"
    ours, theirs = (getattr(library, name)(3, affine=True, track_running_stats=True).double() for library in (nn, torch.nn))
    x = torch.randn(2, 3, *[4] * axes, dtype=torch.float64)
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        assert_close(ours(x), theirs(x))
        assert_close(ours(x[0]), theirs(x[0]))
        assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    for wrong in (x[0, 0], x[None], x[:, :2]):
        with pytest.raises(Exception) as refused:
            theirs(wrong)
        with pytest.raises(refused.type, match=rf"{name}\(\): argument 'input': expected"):
            ours(wrong)
    with pytest.warns(UserWarning, match="does not match num_features"):
        assert_close(getattr(nn, name)(5)(x), TF.instance_norm(x))

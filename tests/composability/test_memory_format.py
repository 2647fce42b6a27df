"""channels_last in, channels_last out, forward and gradient, as torch's own functions and layers have it."""

import copy

import pytest
import torch
import torch.nn.functional as TF
from torch.testing import assert_close

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import nn
from scratchnet.functions import dispatch
from scratchnet.torch_private import channels_last

LAST = torch.channels_last
weight, depthwise, pointwise = (torch.randn(s, dtype=torch.float64) for s in ((6, 4, 3, 3), (4, 1, 3, 3), (6, 4, 1, 1)))
ones = torch.ones(4, dtype=torch.float64)
CALLS = {
    "conv2d": lambda f, x: f.conv2d(x, weight, None, 1, 1),
    "conv2d, stride 2": lambda f, x: f.conv2d(x, weight, weight[:, 0, 0, 0], 2),
    "conv2d, depthwise": lambda f, x: f.conv2d(x, depthwise, groups=4),
    "conv2d, pointwise": lambda f, x: f.conv2d(x, pointwise),
    "conv2d, filters": lambda f, x: f.conv2d(x.contiguous(), weight.to(memory_format=LAST)),
    "conv2d, pointwise filters": lambda f, x: f.conv2d(x.contiguous(), pointwise.to(memory_format=LAST)),
    "batch_norm, training": lambda f, x: f.batch_norm(x, 0 * ones, ones.clone(), x[0, :, 0, 0], training=True),
    "batch_norm, running": lambda f, x: f.batch_norm(x, ones, 2 * ones, bias=x[0, :, 0, 0]),
    "instance_norm": lambda f, x: f.instance_norm(x),
    "max_pool2d": lambda f, x: f.max_pool2d(x, 3, 2, 1),
    "max_pool2d, indices": lambda f, x: f.max_pool2d(x, 2, return_indices=True)[0],
    "max_pool2d, where": lambda f, x: f.max_pool2d(x, 2, return_indices=True)[1] * x[:, :, :4, :3],
    "avg_pool2d": lambda f, x: f.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda f, x: f.adaptive_avg_pool2d(x, (3, 2)),
    "adaptive_avg_pool2d, 1": lambda f, x: f.adaptive_avg_pool2d(x, 1),
    "gelu": lambda f, x: f.gelu(x),
    "gelu, tanh": lambda f, x: f.gelu(x, approximate="tanh"),
    "silu": lambda f, x: f.silu(x),
    "glu": lambda f, x: f.glu(x, 1),
}


def image():
    return torch.randn(2, 4, 9, 7, dtype=torch.float64).to(memory_format=LAST)


def outcome(call, functional, x):
    """The result and the gradient for an upstream one that lies as the result does."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = call(functional, leaf)
    (grad,) = torch.autograd.grad((y * y).sum(), leaf)
    return y, grad


@pytest.mark.parametrize("name", CALLS)
def test_result_and_gradient(name):
    """With no backend named: the strides and the values of torch's own."""
    x = image()
    for mine, own in zip(outcome(CALLS[name], F, x), outcome(CALLS[name], TF, x), strict=True):
        assert mine.stride() == own.stride()
        assert_close(mine, own)


@pytest.mark.parametrize("backend", ["cpp", "cpp:1", "numpy", "reference"])
@pytest.mark.parametrize("name", CALLS)
def test_result_of_every_column(name, backend):
    """A kernel that was named runs; the result lies as torch's does, whatever the kernel returned."""
    x = image()
    with scratchnet.backend(backend):
        mine = outcome(CALLS[name], F, x)
    own = outcome(CALLS[name], TF, x)
    for layout in (torch.contiguous_format, LAST):
        assert mine[0].is_contiguous(memory_format=layout) == own[0].is_contiguous(memory_format=layout)
    assert_close(mine, own)


@pytest.mark.parametrize("name", ["conv2d", "batch_norm, training", "max_pool2d", "avg_pool2d", "gelu"])
def test_compiled(name):
    x = image()
    compiled = torch.compile(lambda x: CALLS[name](F, x), backend="aot_eager", fullgraph=True)
    mine, own = compiled(x), CALLS[name](TF, x)
    assert mine.stride() == own.stride()
    assert_close(mine, own)


def test_kernels_that_know_planes_leave_it_to_torch(monkeypatch):
    """Ours would copy such an image and its result."""
    launched, plain = [], dispatch.Operator.__call__
    monkeypatch.setattr(dispatch.Operator, "__call__", lambda self, *args: launched.append(self.op.name) or plain(self, *args))
    for call in CALLS.values():
        call(F, image())
    assert set(launched) == {"batch_norm", "gelu", "silu"}  # pixels are rows for the first, any order will do for the others
    launched.clear()
    for call in CALLS.values():
        call(F, image().contiguous())
    assert {"conv2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"} < set(launched)


def test_a_whole_network():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.GELU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 8, 3, groups=8), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.AvgPool2d(2),
    ).double().to(memory_format=LAST)  # fmt: skip
    plain = copy.deepcopy(model)
    scratchnet.accelerate(model)
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    for given in (x, x.to(memory_format=LAST)):  # the filters alone are enough
        results = []
        for m in (model, plain):
            leaf = given.clone(memory_format=torch.preserve_format).requires_grad_()
            y = m(leaf)
            y.square().sum().backward()
            results.append((y, leaf.grad, *(p.grad for p in m.parameters()), *m.buffers()))
            m.zero_grad()
        assert [t.stride() for t in results[0]] == [t.stride() for t in results[1]]
        assert_close(*results)
        y.permute(0, 2, 3, 1).view(-1, 8)  # legal for this layout only


@pytest.mark.parametrize("name", ["batch_norm, training", "batch_norm, running", "gelu"])
def test_a_result_is_changed_in_place(name):
    """As by a ReLU with inplace=True: autograd does not take the result for a view, which it would copy."""
    results, x = [], image()
    for functional in (F, TF):
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = CALLS[name](functional, leaf)
        assert not y._is_view() and channels_last(y)
        y = y.relu_() if "batch" in name else y.mul_(2)
        results.append((y, torch.autograd.grad((y * y).sum(), leaf)[0]))
    assert_close(*results)


def test_volumes():
    x = torch.randn(2, 3, 4, 5, 6).to(memory_format=torch.channels_last_3d)
    for call in (lambda f: f.batch_norm(x, None, None, training=True), lambda f: f.gelu(x)):
        assert call(F).stride() == call(TF).stride() == x.stride()
        assert_close(call(F), call(TF))


@pytest.mark.parametrize("order", [(1, 0), (2, 0, 1), (0, 2, 1), (3, 1, 0, 2)], ids=str)
def test_gelu_keeps_any_dense_order(order):
    x = torch.randn(*range(2, 2 + len(order))).permute(order)
    for mine, own in zip(outcome(lambda f, x: f.gelu(x), F, x), outcome(lambda f, x: f.gelu(x), TF, x), strict=True):
        assert mine.stride() == own.stride()
        assert_close(mine, own)
    for holed in (x[::2], x[..., :1].expand(x.shape), x[..., 1:]):
        assert_close(F.gelu(holed), TF.gelu(holed))


SHAPES = [(2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (1, 1, 1, 1), (0, 3, 4, 5), (2, 3, 4, 5, 6), (2, 1, 1, 1, 1), (2, 3, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_torch_takes_for_channels_last(shape):
    """Sizes of 1 and views included: the rule that torch's own meta kernels use."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(len(shape), torch.contiguous_format)
    for x in (torch.randn(shape), torch.randn(shape).to(memory_format=last)):
        for view in (x, x.transpose(0, 1), x.mT, x[:, :, ::2], x[:, ::2], x[..., 1:], x[:1].expand_as(x[: len(x)])):
            assert channels_last(view) == (torch._prims_common.suggest_memory_format(view) != torch.contiguous_format)


def test_under_vmap():
    images = torch.randn(3, 2, 4, 6, 6, dtype=torch.float64).to(memory_format=torch.channels_last_3d)
    for call in (CALLS["max_pool2d"], CALLS["gelu"], CALLS["conv2d"]):
        mine = torch.func.vmap(lambda x, call=call: call(F, x))(images)
        assert_close(mine, torch.stack([call(TF, x) for x in images]))


def test_a_layer_of_ours_built_for_it():
    x = image()
    for layer in (nn.Conv2d(4, 8, 3).to(memory_format=LAST), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.GELU()):
        assert channels_last(layer.double()(x)), layer

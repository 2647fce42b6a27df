"""Every layer and function of the NumPy networks: against torch's autograd and against central differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scratchnet import _compiled
from scratchnet.numpy import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LayerNorm,
    MaxPool2D,
    activation_pair,
    col2im,
    conv2d_backward,
    conv2d_forward,
    dropout_backward,
    dropout_forward,
    im2col,
    kernel_table,
)

compiled = pytest.mark.skipif(_compiled.module is None, reason="the compiled module is not built")
BACKENDS = ["numpy", pytest.param("cpp", marks=compiled), pytest.param("cpp:1", marks=compiled)]
every_backend = pytest.mark.parametrize("backend", BACKENDS)

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def close(actual, expected, bound=1e-10):
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


def leaf(array):
    return torch.tensor(np.ascontiguousarray(array), requires_grad=True)


def central_differences(loss, array, step=1e-6):
    """dloss/darray, one number after another, each moved up and down in place."""
    grad = np.zeros(array.shape)
    for i in np.ndindex(array.shape):
        kept = array[i]
        array[i] = kept + step
        up = loss()
        array[i] = kept - step
        grad[i] = (up - loss()) / (2 * step)
        array[i] = kept
    return grad


# ---- every layer: central differences -----------------------------------------------------------------------------------

IMAGES, COLUMNS = (2, 2, 5, 6), (4, 3)
LAYERS = {
    **{f"Dense {name}": (lambda name=name: Dense(4, 3, name, seed=1), COLUMNS) for name in ACTIVATIONS},
    "Conv2D": (lambda: Conv2D(2, 3, 3, padding=1, seed=1), IMAGES),
    "Conv2D stride 2": (lambda: Conv2D(2, 3, 2, stride=2, activation="tanh", seed=1), IMAGES),
    "Conv2D gelu": (lambda: Conv2D(2, 3, 3, stride=2, padding=2, activation="gelu", seed=1), IMAGES),
    "MaxPool2D": (MaxPool2D, IMAGES),
    "MaxPool2D overlapping": (lambda: MaxPool2D(3, stride=1), IMAGES),
    "AvgPool2D": (AvgPool2D, IMAGES),
    "AvgPool2D overlapping": (lambda: AvgPool2D(3, stride=2), IMAGES),
    "Flatten": (Flatten, IMAGES),
    "BatchNorm": (lambda: BatchNorm(4), COLUMNS),
    "BatchNorm images": (lambda: BatchNorm(2), IMAGES),
    "LayerNorm": (lambda: LayerNorm(4), COLUMNS),
    "LayerNorm images": (lambda: LayerNorm((2, 5, 6)), IMAGES),
}


@every_backend
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_central_differences(name, training, backend, rng):
    make, shape = LAYERS[name]
    layer = make()
    layer.use(kernel_table(backend))
    x = rng.standard_normal(shape)
    for parameter in layer.parameters:
        getattr(layer, parameter)[...] = rng.standard_normal(getattr(layer, parameter).shape)
    if name.startswith("BatchNorm"):
        layer.running_mean += 0.3
        layer.running_var += 0.7
    upstream = rng.standard_normal(layer.forward(x, training).shape)
    loss = lambda: (layer.forward(x, training) * upstream).sum()

    before = {parameter: getattr(layer, parameter).copy() for parameter in layer.parameters}
    if training or not name.startswith("BatchNorm"):  # a training step moves the running statistics, but does not read them
        layer.forward(x, training)
    dx = layer.backward(upstream)
    gradients = {parameter: getattr(layer, f"d{parameter}") for parameter in layer.parameters}
    close(dx, central_differences(loss, x), 1e-6)
    for parameter, gradient in gradients.items():
        close(gradient, central_differences(loss, getattr(layer, parameter)), 1e-6)
        np.testing.assert_array_equal(getattr(layer, parameter), before[parameter])


def test_dropout(rng):
    x, upstream = rng.standard_normal((50, 40)), rng.standard_normal((50, 40))
    y, mask = dropout_forward(x, 0.25, np.random.default_rng(3))
    assert set(np.unique(mask)) == {0.0, 1 / 0.75}
    assert 0.2 < (mask == 0).mean() < 0.3
    close(dropout_backward(upstream, mask), central_differences(lambda: (x * mask * upstream).sum(), x), 1e-6)
    np.testing.assert_array_equal(y, x * mask)

    layer = Dropout(0.25, seed=3)
    np.testing.assert_array_equal(layer.forward(x, training=True), y)
    np.testing.assert_array_equal(layer.backward(upstream), upstream * mask)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(upstream), upstream)
    assert not Dropout(1.0).forward(x, training=True).any()
    with pytest.raises(ValueError, match="probability to drop"):
        Dropout(1.5)


# ---- against torch ------------------------------------------------------------------------------------------------------


@every_backend
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, backend, rng):
    function, derivative = activation_pair(name, kernel_table(backend))
    z = np.concatenate([rng.standard_normal(20) * 3, [0.0, 800.0, -800.0, 30.0, -30.0]]).reshape(5, 5)
    tensor = leaf(z)
    expected = ACTIVATIONS[name](tensor)
    with np.errstate(over="raise", invalid="raise"):
        close(function(z), expected, 1e-12)
        close(derivative(z), torch.autograd.grad(expected.sum(), tensor)[0], 1e-12)


def test_softmax_is_over_the_classes_and_unknown_names_are_told(rng):
    function, derivative = activation_pair("softmax")
    z = rng.standard_normal((4, 3)) * 300
    close(function(z), torch.tensor(z).softmax(0))
    np.testing.assert_array_equal(derivative(z), np.ones((4, 3)))
    with pytest.raises(ValueError, match="no activation 'swish'.*relu"):
        Dense(2, 2, "swish")


@every_backend
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_is_torchs_linear_on_columns(name, backend, rng):
    layer = Dense(5, 3, name, seed=2)
    layer.use(kernel_table(backend))
    layer.b += rng.standard_normal((3, 1))
    X, upstream = rng.standard_normal((7, 5)), rng.standard_normal((7, 3))
    x, weight, bias = leaf(X), leaf(layer.W), leaf(layer.b[:, 0])
    expected = ACTIVATIONS[name](F.linear(x, weight, bias))
    close(layer.forward(X.T).T, expected)
    dx, dweight, dbias = torch.autograd.grad((expected * torch.tensor(upstream)).sum(), (x, weight, bias))
    close(layer.backward(upstream.T).T, dx)
    close(layer.dW, dweight)
    close(layer.db[:, 0], dbias)


def test_dense_starts_and_keeps_what_the_convention_says(rng):
    layer = Dense(784, 128, seed=0)
    assert layer.W.shape == (128, 784) and layer.b.shape == (128, 1) and not layer.b.any()
    assert abs(layer.W.std() - 0.01) < 1e-4 and abs(layer.W.mean()) < 1e-4
    assert layer.count_parameters() == 784 * 128 + 128
    x = rng.standard_normal((784, 6))
    a = layer.forward(x)
    assert layer.m == 6 and layer.a_prev is x and layer.z.shape == a.shape == (128, 6) and layer.a is a
    np.testing.assert_array_equal(a, layer.activation(layer.z))
    np.testing.assert_array_equal(layer.activation_derivative(np.array([-1.0, 0.0, 1.0])), [0, 0, 1])
    for init, scale in (("he", (2 / 784) ** 0.5), ("xavier", (2 / 912) ** 0.5)):
        assert abs(Dense(784, 128, init=init, seed=0).W.std() / scale - 1) < 0.01
    with pytest.raises(ValueError, match="no init 'big'"):
        Dense(2, 2, init="big")
    with pytest.raises(ValueError, match=r"takes \(784, m\), one sample per column, not \(6, 784\)"):
        layer.forward(x.T)


def test_dense_step_equals_the_one_with_the_mean_inside_the_layer(rng):
    """1/m once in the gradient of the loss, or in dW and db of the layer: the same step; the old W passes the gradient on."""
    a_prev, error = rng.standard_normal((4, 8)), rng.standard_normal((3, 8))
    ours = Dense(4, 3, "tanh", seed=5)
    W, b = ours.W.copy(), ours.b.copy()

    dz = error * (1 - np.tanh(W @ a_prev + b) ** 2)  # the course's: dL/da not divided
    course_W, course_b = W - 0.1 * dz @ a_prev.T / 8, b - 0.1 * dz.sum(axis=1, keepdims=True) / 8

    kept = ours.W
    ours.forward(a_prev)
    da_prev = ours.backward(error / 8, 0.1)
    close(ours.W, course_W, 1e-15)
    close(ours.b, course_b, 1e-15)
    close(da_prev, W.T @ dz / 8, 1e-15)
    assert ours.W is kept and np.abs(W.T @ dz / 8 - ours.W.T @ dz / 8).max() > 1e-5  # in place, and the order shows


CONVOLUTIONS = [(3, 1, 0), (3, 1, 1), (2, 2, 0), (3, 2, 1), (1, 1, 0), (5, 3, 2)]


@every_backend
@pytest.mark.parametrize("size, stride, padding", CONVOLUTIONS)
def test_convolution_is_torchs(size, stride, padding, backend, rng):
    kernels = kernel_table(backend)
    x, W, b = (
        leaf(rng.standard_normal((2, 3, 7, 6))),
        leaf(rng.standard_normal((4, 3, size, size))),
        leaf(rng.standard_normal(4)),
    )
    expected = F.conv2d(x, W, b, stride, padding)
    upstream = rng.standard_normal(expected.shape)
    gradients = torch.autograd.grad((expected * torch.tensor(upstream)).sum(), (x, W, b))
    z, cache = conv2d_forward(x.detach().numpy(), W.detach().numpy(), b.detach().numpy(), stride, padding, kernels)
    close(z, expected)
    for gradient, theirs in zip(conv2d_backward(upstream, cache, kernels), gradients, strict=True):
        close(gradient, theirs)


@pytest.mark.parametrize("size, stride, padding", CONVOLUTIONS)
def test_im2col_is_torchs_unfold_and_col2im_its_transpose(size, stride, padding, rng):
    x = rng.standard_normal((2, 3, 7, 6))
    cols = im2col(x, (size, size), stride, padding)
    unfolded = F.unfold(torch.tensor(x), size, padding=padding, stride=stride)  # (N, C * k * k, positions)
    np.testing.assert_array_equal(cols, unfolded.transpose(0, 1).flatten(1).numpy())
    other = rng.standard_normal(cols.shape)
    np.testing.assert_allclose(
        (cols * other).sum(), (x * col2im(other, x.shape, (size, size), stride, padding)).sum(), rtol=1e-12
    )


@every_backend
@pytest.mark.parametrize("size, stride", [(2, 2), (3, 2), (3, 1), (2, 3), (1, 1)])
@pytest.mark.parametrize("layer, own", [(MaxPool2D, F.max_pool2d), (AvgPool2D, F.avg_pool2d)], ids=["max", "average"])
def test_pooling_is_torchs(layer, own, size, stride, backend, rng):
    array = rng.integers(0, 3, (2, 3, 7, 8)).astype(float)  # ties too
    ours, x = layer(size, stride), leaf(array)
    ours.use(kernel_table(backend))
    expected = own(x, size, stride)
    upstream = rng.standard_normal(expected.shape)
    close(ours.forward(array), expected)
    close(ours.backward(upstream), torch.autograd.grad((expected * torch.tensor(upstream)).sum(), x)[0])


@every_backend
@pytest.mark.parametrize("shape", [(6, 4), (5, 4, 3, 2)], ids=["columns", "images"])
def test_batch_norm_is_torchs(shape, backend, rng):
    theirs = (torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d)(4, dtype=torch.float64)
    ours = BatchNorm(4)
    ours.use(kernel_table(backend))
    with torch.no_grad():
        for mine, parameter in ((ours.gamma, theirs.weight), (ours.beta, theirs.bias)):
            mine += rng.standard_normal(4)
            parameter.copy_(torch.tensor(mine))
    turn = (lambda a: a.T) if len(shape) == 2 else (lambda a: a)
    for training in (True, True, False):
        theirs.train(training)
        x, upstream = leaf(rng.standard_normal(shape) * 3 + 1), rng.standard_normal(shape)
        expected = theirs(x)
        close(turn(ours.forward(turn(x.detach().numpy()), training)), expected)
        wanted = (x, theirs.weight, theirs.bias)
        gradients = torch.autograd.grad((expected * torch.tensor(upstream)).sum(), wanted)
        for mine, gradient in zip((turn(ours.backward(turn(upstream))), ours.dgamma, ours.dbeta), gradients, strict=True):
            close(mine, gradient)
        close(ours.running_mean, theirs.running_mean)
        close(ours.running_var, theirs.running_var)
    with pytest.raises(ValueError, match="more than one number per feature"):
        BatchNorm(4).forward(np.zeros((4, 1)), training=True)


@every_backend
@pytest.mark.parametrize("shape", [(6, 4), (5, 4, 3, 2)], ids=["columns", "images"])
def test_layer_norm_is_torchs(shape, backend, rng):
    ours = LayerNorm(shape[1:])
    ours.use(kernel_table(backend))
    ours.gamma += rng.standard_normal(shape[1:])
    ours.beta += rng.standard_normal(shape[1:])
    turn = (lambda a: a.T) if len(shape) == 2 else (lambda a: a)
    x, weight, bias = leaf(rng.standard_normal(shape)), leaf(ours.gamma), leaf(ours.beta)
    expected, upstream = F.layer_norm(x, shape[1:], weight, bias), rng.standard_normal(shape)
    close(turn(ours.forward(turn(x.detach().numpy()))), expected)
    gradients = torch.autograd.grad((expected * torch.tensor(upstream)).sum(), (x, weight, bias))
    for mine, gradient in zip((turn(ours.backward(turn(upstream))), ours.dgamma, ours.dbeta), gradients, strict=True):
        close(mine, gradient)


def test_flatten_is_torchs(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    np.testing.assert_array_equal(Flatten().forward(x).T, torch.tensor(x).flatten(1).numpy())


def test_images_that_do_not_fit_are_told(rng):
    x = rng.standard_normal((2, 8, 8, 3))
    with pytest.raises(ValueError, match=r"take images \(N, 3, H, W\), not \(2, 8, 8, 3\)"):
        conv2d_forward(x, np.zeros((4, 3, 3, 3)), np.zeros(4))
    with pytest.raises(ValueError, match="window of 9x9 does not fit into images of 8x3 with padding 0"):
        conv2d_forward(x, np.zeros((4, 8, 9, 9)), np.zeros(4))
    with pytest.raises(ValueError, match="window of 4x4 does not fit into images of 8x3"):
        MaxPool2D(4).forward(x)
    with pytest.raises(ValueError, match="softmax belongs to the last Dense layer"):
        Conv2D(1, 2, activation="softmax")


@compiled
def test_kernel_table_names_the_kernels_of_one_backend():
    numpy, cpp = kernel_table(), kernel_table("cpp")
    assert set(vars(cpp)) == set(vars(numpy)) and numpy.gelu_forward is not cpp.gelu_forward
    problems = {"torch": "not on 'torch'", "cuda": "not on 'cuda'", "tpu": "no backend 'tpu'", "cpp:99": "no rung '99'"}
    for backend, words in problems.items():
        with pytest.raises(ValueError, match=words):
            kernel_table(backend)


def test_missing_module_is_told(monkeypatch):
    monkeypatch.setattr(_compiled, "module", None)
    monkeypatch.setattr(_compiled, "reason", "It is not built. To build it: pip install .")
    with pytest.raises(RuntimeError, match="To build it"):
        kernel_table("cpp")

"""NeuralNetwork and CNN: against torch twins, on both backends, and trained on real digits."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import scratchnet.numpy
from scratchnet import _compiled
from scratchnet.numpy import CNN, SGD, Adam, AdamW, BatchNorm, Dense, Dropout, Flatten, LayerNorm, NeuralNetwork, RMSprop
from scratchnet.numpy.kernels import NUMPY
from scratchnet.numpy.loss import cross_entropy, mse
from scratchnet.numpy.optimizers import OPTIMIZERS

compiled = pytest.mark.skipif(_compiled.module is None, reason="the compiled module is not built")
every_backend = pytest.mark.parametrize("backend", ["numpy", pytest.param("cpp", marks=compiled)])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def small_cnn(**options):
    net = CNN((8, 6, 2), init="he", seed=1, **options)
    net.add_conv_layer(3)
    net.add_pool_layer()
    net.add_conv_layer(4, filter_size=2, padding=0, activation="gelu")
    net.add_pool_layer(2, stride=1, kind="average")
    net.add_flatten()
    net.add_dense_layer(5, "tanh")
    net.add_dense_layer(3, "softmax")
    return net


def small_dense(last="softmax", **options):
    net = NeuralNetwork(seed=1, **options)
    net.add_layer(Dense(4, 6, init="he", seed=1))
    net.add_layer(Dense(6, 3, last, init="he", seed=2))
    return net


def twin_of_cnn(net):
    """The torch model with the same layers and parameters; logits."""
    features = (nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2), nn.GELU(), nn.AvgPool2d(2, 1))
    twin = nn.Sequential(*features, nn.Flatten(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    copy_parameters(net, twin)
    return twin


def copy_parameters(net, twin):
    arrays = [getattr(layer, name) for layer in net.layers for name in layer.parameters]
    with torch.no_grad():
        for array, parameter in zip(arrays, twin.parameters(), strict=True):
            parameter.copy_(torch.tensor(array).reshape(parameter.shape))


# ---- losses -------------------------------------------------------------------------------------------------------------


@every_backend
def test_cross_entropy_is_torchs(backend, rng):
    kernels = NeuralNetwork(backend=backend).kernels
    z = torch.tensor(rng.standard_normal((5, 4)) * 3, requires_grad=True)
    p, labels = z.detach().softmax(1).numpy(), np.array([0, 3, 3, 1, 2], dtype=np.int32)
    for y, target in ((labels, torch.tensor(labels).long()), (np.eye(4)[labels], torch.tensor(labels).long()), (p[::-1], None)):
        target = torch.tensor(p[::-1].copy()) if target is None else target
        expected = nn.functional.cross_entropy(z, target)
        loss, dz = cross_entropy(y, p, kernels)
        assert abs(loss - expected.item()) < 1e-12
        np.testing.assert_allclose(dz, torch.autograd.grad(expected, z)[0].numpy(), rtol=0, atol=1e-12)
    certain = np.array([[1.0, 0.0]])
    assert cross_entropy(np.array([0]), certain, kernels)[0] == 0
    assert 700 < cross_entropy(np.array([1]), certain, kernels)[0] < 720  # finite where log 0 is not


def test_targets_that_do_not_fit_are_told():
    p = np.full((3, 4), 0.25)
    for y, words in (
        (np.zeros((3, 1), int), r"not \(3, 1\) int64; y\[:, 0\] has the right shape"),
        (np.zeros(3), r"y.astype\(int\) makes labels"),
        (np.zeros(2, int), r"must be \(3,\) integer labels or \(3, 4\) one-hot rows, not \(2,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            cross_entropy(y, p)
    for bad in (4, -1, -100):
        with pytest.raises(IndexError, match=f"label {bad} at position 1 is not one of the classes 0 to 3"):
            cross_entropy(np.array([0, bad, 1]), p)
    with pytest.raises(ValueError, match=r"shape of the prediction, \(3, 4\), not \(3,\)"):
        mse(np.zeros(3), p)


def test_mse_is_torchs(rng):
    for shape in ((5, 3), (5, 1)):
        p, y = torch.tensor(rng.standard_normal(shape), requires_grad=True), rng.standard_normal(shape)
        expected = nn.functional.mse_loss(p, torch.tensor(y))
        for target in (y, y[:, 0]) if shape[1] == 1 else (y,):
            loss, dp = mse(target, p.detach().numpy())
            assert abs(loss - expected.item()) < 1e-12
            np.testing.assert_allclose(dp, torch.autograd.grad(expected, p, retain_graph=True)[0].numpy(), rtol=0, atol=1e-12)


# ---- optimizers ---------------------------------------------------------------------------------------------------------

RULES = {
    "sgd": (SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (SGD(0.1, momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "rmsprop": (RMSprop(0.01), lambda p: torch.optim.RMSprop(p, 0.01)),
    "adam": (Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "adamw": (AdamW(0.01, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
}


@pytest.mark.parametrize("name", RULES)
def test_training_follows_torchs_twin(name, rng):
    """Ten steps: the same losses, and the same parameters after them."""
    ours, theirs = RULES[name]
    net = small_cnn()
    twin = twin_of_cnn(net)
    optimizer = theirs(twin.parameters())
    X, y = rng.standard_normal((20, 8, 6, 2)), rng.integers(0, 3, 20)
    images, labels = torch.tensor(X).permute(0, 3, 1, 2), torch.tensor(y)
    history = net.fit(X, y, epochs=5, batch_size=10, optimizer=ours, progress=False)
    losses = []
    for _ in range(5):
        for batch in (slice(0, 10), slice(10, 20)):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(twin(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(history["loss"], np.reshape(losses, (5, 2)).mean(1), rtol=1e-9)
    expected = twin(images).softmax(1).detach().numpy()
    np.testing.assert_allclose(net.forward(X), expected, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(net.predict(X), expected.argmax(1))


def test_optimizers_by_name(rng):
    X, y = rng.standard_normal((12, 4)), rng.integers(0, 3, 12)
    for name, rule in OPTIMIZERS.items():
        named, made = small_dense(), small_dense()
        first = named.fit(X, y, 3, 5, 0.02, optimizer=name, progress=False)
        assert first == made.fit(X, y, 3, 5, 99.0, optimizer=rule(0.02), progress=False)  # an object has its own rate
    with pytest.raises(ValueError, match="no optimizer 'lion'.*adamw"):
        small_dense().fit(X, y, optimizer="lion")
    with pytest.raises(ValueError, match="learning_rate must be 0 or larger, not -1"):
        SGD(-1)


# ---- networks -----------------------------------------------------------------------------------------------------------


def test_example_networks_have_as_many_parameters_as_their_torch_twins():
    net = NeuralNetwork()
    net.add_layer(Dense(784, 128, "relu"))
    net.add_layer(Dense(128, 10, "softmax"))
    assert net.count_parameters() == 101_770

    cnn = CNN(input_shape=(28, 28, 1))
    cnn.add_conv_layer(32, filter_size=3, padding=1)
    cnn.add_pool_layer(pool_size=2)
    cnn.add_conv_layer(64, filter_size=3, padding=1)
    cnn.add_pool_layer(pool_size=2)
    cnn.add_flatten()
    assert cnn.shape == (3136,)
    cnn.add_dense_layer(128, activation="relu")
    cnn.add_dense_layer(10, activation="softmax")
    assert [layer.count_parameters() for layer in cnn.layers if layer.parameters] == [320, 18_496, 401_536, 1_290]
    assert cnn.count_parameters() == 421_642
    assert repr(cnn).endswith("(6) Dense(128, 10, 'softmax'): 1,290\n): 421,642 parameters")
    twin = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1), nn.Linear(3136, 128), nn.Linear(128, 10)
    )
    copy_parameters(cnn, twin)  # shape by shape


@every_backend
def test_backward_of_a_whole_network_is_the_derivative_of_its_loss(backend, rng):
    X, y = rng.standard_normal((4, 8, 6, 2)), rng.integers(0, 3, 4)
    net = small_cnn(backend=backend)
    net.backward(y, net.forward(X))
    for layer in net.layers:
        for name in layer.parameters:
            array, gradient = getattr(layer, name), getattr(layer, f"d{name}")
            for i in {tuple(rng.integers(0, array.shape)) for _ in range(4)}:
                kept, losses = array[i], []
                for moved in (kept + 1e-6, kept - 1e-6):
                    array[i] = moved
                    losses.append(net.loss_function(y, net.forward(X)))
                array[i] = kept
                assert abs((losses[0] - losses[1]) / 2e-6 - gradient[i]) < 1e-6


@every_backend
def test_by_hand_equals_fit(backend, rng):
    """The course's loop: forward, loss (target first), backward with the update inside."""
    X, y = rng.standard_normal((10, 4)), rng.integers(0, 3, 10)
    by_hand, fitted = small_dense(backend=backend), small_dense(backend=backend)
    losses = []
    for _ in range(3):
        for i in range(0, 10, 4):
            y_pred = by_hand.forward(X[i : i + 4])
            losses.append(by_hand.loss_function(y[i : i + 4], y_pred))
            by_hand.backward(y[i : i + 4], y_pred, 0.5)
    history = fitted.fit(X, y, epochs=3, batch_size=4, learning_rate=0.5, progress=False)
    np.testing.assert_allclose(history["loss"], np.reshape(losses, (3, 3)) @ [0.4, 0.4, 0.2], rtol=1e-14)
    np.testing.assert_array_equal(by_hand.forward(X), fitted.forward(X))


@compiled
@pytest.mark.parametrize("backend", ["cpp", "cpp:1"])
def test_compiled_kernels_give_the_same_numbers(backend, rng):
    X, y = rng.standard_normal((24, 8, 6, 2)), rng.integers(0, 3, 24)
    nets = [small_cnn(), small_cnn(backend=backend)]
    histories = [net.fit(X, y, 4, 6, 0.01, optimizer="adam", shuffle=True, progress=False) for net in nets]
    np.testing.assert_allclose(histories[1]["loss"], histories[0]["loss"], rtol=1e-10)
    np.testing.assert_allclose(nets[1].forward(X), nets[0].forward(X), rtol=0, atol=1e-10)


@compiled
def test_backend_cpp_computes_with_the_compiled_kernels_alone(monkeypatch, rng):
    """The oracle never stands in for a compiled kernel."""

    def forbidden(*args):
        raise AssertionError("a kernel of the numpy column ran")

    for name in vars(NUMPY):
        monkeypatch.setattr(NUMPY, name, forbidden)
    net = small_cnn(backend="cpp")
    called = set()
    for name, kernel in list(vars(net.kernels).items()):
        setattr(net.kernels, name, lambda *args, name=name, kernel=kernel: called.add(name) or kernel(*args))
    net.fit(rng.standard_normal((4, 8, 6, 2)), rng.integers(0, 3, 4), epochs=1, progress=False)
    ops = ("linear", "max_pool2d", "avg_pool2d", "gelu", "cross_entropy")
    assert called == {f"{op}_{way}" for op in ops for way in ("forward", "backward")} | {"softmax_forward"}


def test_images_in_three_layouts(rng):
    net = small_cnn()
    X = rng.standard_normal((5, 8, 6, 2))
    np.testing.assert_array_equal(net.forward(X), net.forward(X.transpose(0, 3, 1, 2)))
    gray = CNN((8, 6, 1), seed=0)
    gray.add_flatten()
    gray.add_dense_layer(2, "softmax")
    np.testing.assert_array_equal(gray.forward(X[..., 0]), gray.forward(X[..., :1]))
    with pytest.raises(ValueError, match=r"takes images \(N, 8, 6, 2\), not \(5, 48\)"):
        net.forward(X[..., 0].reshape(5, 48))


def test_shuffle_seed_and_history(rng):
    X, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)

    def run(seed, **options):
        net = small_dense()
        net.rng = np.random.default_rng(seed)
        return net.fit(X, y, 3, 8, 0.3, progress=False, **options)

    assert run(0, shuffle=True) == run(0, shuffle=True) != run(1, shuffle=True)
    assert run(0) == run(1)  # in order unless asked
    history = run(0, validation=(X[:10], y[:10]))
    assert {name: len(values) for name, values in history.items()} == {"loss": 3, "val_loss": 3, "val_accuracy": 3}
    assert history["loss"] == run(0)["loss"]  # validation changes nothing


def test_dropout_and_norms_know_training_from_evaluation(rng):
    X, y = rng.standard_normal((40, 4)), rng.integers(0, 3, 40)
    net = NeuralNetwork(seed=0)
    for layer in (Dense(4, 16, init="he", seed=0), BatchNorm(16), Dropout(0.5, seed=0), LayerNorm(16), Dense(16, 3, "softmax")):
        net.add_layer(layer)
    history = net.fit(X, y, epochs=20, learning_rate=0.02, optimizer="adam", progress=False)
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_array_equal(net.forward(X), net.forward(X))
    assert np.abs(net.forward(X, training=True) - net.forward(X, training=True)).max() > 0.01
    mean = net.layers[1].running_mean.copy()
    net.evaluate(X, y)
    np.testing.assert_array_equal(net.layers[1].running_mean, mean)


def test_regression(rng):
    """y = 2 x + 1, and what the numbers of evaluate mean."""
    x = rng.standard_normal((100, 1))
    y = 2 * x[:, 0] + 1 + 0.1 * rng.standard_normal(100)
    net = NeuralNetwork()
    net.add_layer(Dense(1, 1, "linear"))
    net.fit(x, y, epochs=100, batch_size=100, learning_rate=0.2, progress=False)
    slope, intercept = np.polyfit(x[:, 0], y, 1)
    np.testing.assert_allclose([net.layers[0].W[0, 0], net.layers[0].b[0, 0]], [slope, intercept], atol=1e-6)
    outputs = net.predict(x)
    assert outputs.shape == (100, 1)
    residual = y - outputs[:, 0]
    expected = {"loss": (residual**2).mean(), "mae": np.abs(residual).mean(), "r2": 1 - residual.var() / y.var()}
    results = net.evaluate(x, y)
    assert results.keys() == expected.keys()
    np.testing.assert_allclose(list(results.values()), list(expected.values()), rtol=1e-4)
    assert np.isnan(net.evaluate(x, np.ones(100))["r2"])


def test_evaluate_of_many_samples_and_of_one_hot_rows(rng):
    X, y = rng.standard_normal((600, 4)), rng.integers(0, 3, 600)
    net = small_dense()
    results = net.evaluate(X, y)
    assert results == net.evaluate(X, np.eye(3)[y]) and net.predict(X).shape == (600,)
    assert results["accuracy"] == (net.predict(X) == y).mean()
    np.testing.assert_allclose(results["loss"], -np.log(net.forward(X)[np.arange(600), y]).mean(), rtol=1e-12)


def test_layers_that_do_not_fit_are_told():
    net = small_dense()
    with pytest.raises(ValueError, match="cannot come after softmax"):
        net.add_layer(Dense(3, 3))
    net = NeuralNetwork()
    with pytest.raises(ValueError, match="no layers"):
        net.forward(np.zeros((1, 4)))
    net.add_layer(Dense(4, 6))
    for layer, words in (
        (Dense(5, 3), r"takes 5 numbers per sample, but the layer before it gives \(6,\)"),
        (BatchNorm(5), "takes 5 features or channels"),
        (LayerNorm(5), r"takes samples of shape \(5,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            net.add_layer(layer)
    assert len(net.layers) == 1
    with pytest.raises(ValueError, match=r"takes X \(N, features\), one sample per row, not \(4,\)"):
        net.forward(np.zeros(4))

    cnn = CNN((8, 8, 1))
    with pytest.raises(ValueError, match="Flatten layer has to come before it"):
        cnn.add_dense_layer(10)
    cnn.add_conv_layer(2)
    with pytest.raises(ValueError, match="network ends with images"):
        cnn.forward(np.zeros((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="'max' or 'average', not 'min'"):
        cnn.add_pool_layer(kind="min")
    cnn.add_layer(Flatten())
    for add in (cnn.add_conv_layer, cnn.add_pool_layer):
        with pytest.raises(ValueError, match="takes images"):
            add(2)
    with pytest.raises(ValueError, match="height, width, channels"):
        CNN((8, 8))
    with pytest.raises(ValueError, match="height, width, channels"):
        CNN((1, 8, 8)).add_pool_layer()


def test_data_that_do_not_fit_are_told(rng):
    X, y = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    for arguments, words in (((X, y[:5]), "not 6 and 5"), ((X[:0], y[:0]), "at least one"), ((X, y, 1, 0), "batch_size")):
        with pytest.raises(ValueError, match=words):
            small_dense().fit(*arguments, progress=False)
    with np.errstate(all="ignore"):
        with pytest.raises(
            FloatingPointError, match="epoch [0-9]+, batch 1. Training diverges: try a learning rate below 1000"
        ):
            small_dense("linear").fit(X * 100, X[:, :3], 50, 6, 1000.0, progress=False)


def test_progress_bar(capsys, rng):
    X, y = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    small_dense().fit(X, y, epochs=2, batch_size=3, progress=False)
    assert capsys.readouterr().out == ""
    small_dense().fit(X, y, epochs=2, batch_size=3)
    assert "epoch 2/2  loss " in capsys.readouterr().out


@every_backend
def test_dense_network_learns_the_digits(backend):
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install scikit-learn")
    from scratchnet.data import digits

    train, test = digits()
    net = NeuralNetwork(backend=backend, seed=0)
    net.add_layer(Dense(64, 64, "relu", seed=0))
    net.add_layer(Dense(64, 10, "softmax", seed=1))
    X, y = train.x.flatten(1).numpy(), train.y.numpy()
    history = net.fit(X, y, epochs=30, batch_size=32, learning_rate=0.2, shuffle=True, progress=False)
    assert history["loss"][-1] < 0.1 < history["loss"][0]
    assert net.evaluate(test.x.flatten(1), test.y)["accuracy"] >= 0.95


def test_cnn_learns_the_digits():
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install scikit-learn")
    from scratchnet.data import digits

    train, test = digits()
    net = CNN((8, 8, 1), init="he", seed=0)
    net.add_conv_layer(8)
    net.add_pool_layer()
    net.add_flatten()
    net.add_dense_layer(10, "softmax")
    net.fit(train.x, train.y, epochs=15, learning_rate=0.005, optimizer="adam", shuffle=True, progress=False)
    assert net.evaluate(test.x, test.y)["accuracy"] >= 0.95


def test_no_module_of_the_networks_imports_torch():
    """The mathematics uses only NumPy, whatever the package around it imports."""
    for path in Path(scratchnet.numpy.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
            assert not any((name or "").split(".")[0] == "torch" for name in names), path


@pytest.mark.parametrize("which", ["X", "y"])
def test_data_that_are_not_finite_are_named(rng, which):
    data = {"X": rng.standard_normal((6, 4)), "y": rng.standard_normal((6, 3))}
    data[which][3, 1] = np.nan
    words = f"batch 1. The data is not finite: 1 of the {data[which].size} numbers in this batch's {which} are NaN"
    with pytest.raises(FloatingPointError, match=words) as error:
        small_dense("linear").fit(*data.values(), 2, 6, progress=False)
    assert "learning rate" not in str(error.value)

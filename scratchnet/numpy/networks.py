"""Networks that are lists of layers: forward in order, backward in reverse.

    net = NeuralNetwork()
    net.add_layer(Dense(784, 128, "relu"))
    net.add_layer(Dense(128, 10, "softmax"))
    history = net.fit(X, y, epochs=10, batch_size=32, learning_rate=0.1, shuffle=True)

To the user samples are rows, X (N, ...) and y (N, ...); the layers inside see columns, or images (N, C, H, W). The last layer
decides the loss: cross-entropy after softmax, mean squared error after all others.
"""

from __future__ import annotations

import numpy as np

from scratchnet.numpy.convolution import Conv2D
from scratchnet.numpy.dense import Dense
from scratchnet.numpy.flatten import Flatten
from scratchnet.numpy.kernels import kernel_table
from scratchnet.numpy.layer import Layer, Seed
from scratchnet.numpy.loss import cross_entropy, mse
from scratchnet.numpy.optimizers import Optimizer, optimizer_of
from scratchnet.numpy.pooling import AvgPool2D, MaxPool2D

_EVALUATION_BATCH = 256  # bounds the memory that im2col takes


class NeuralNetwork:
    """A network of layers for data X (N, features).

    backend: "numpy", or "cpp" ("cpp:1", ...) for the same network on the compiled kernels, with equal numbers up to rounding.
    seed: for the order of the samples in `fit`. ValueError for another backend, RuntimeError if it is not built.
    """

    def __init__(self, *, backend: str = "numpy", seed: Seed = None):
        self.layers: list[Layer] = []
        self.shape: tuple[int, ...] | None = None  # of a sample after the last layer; None: not known yet
        self.backend = backend
        self.kernels = kernel_table(backend)
        self.rng = np.random.default_rng(seed)

    def add_layer(self, layer: Layer) -> None:
        """Append a layer; ValueError if it does not fit after the last one."""
        if self.classifies:
            raise ValueError(f"{layer} cannot come after softmax, which is the last layer")
        if self.shape is not None:
            self.shape = layer.output_shape(self.shape)
        elif isinstance(layer, Dense):
            self.shape = (layer.W.shape[0],)
        layer.use(self.kernels)
        self.layers.append(layer)

    @property
    def classifies(self) -> bool:
        """True if the last layer is softmax: the loss is cross-entropy, and y holds classes."""
        return bool(self.layers) and getattr(self.layers[-1], "activation_name", None) == "softmax"

    def count_parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(layer.count_parameters() for layer in self.layers)

    # ---- one batch ------------------------------------------------------------------------------------------------------

    def _enter(self, X: np.ndarray) -> np.ndarray:
        """Rows to columns: what the first layer takes."""
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2:
            raise ValueError(f"NeuralNetwork takes X (N, features), one sample per row, not {X.shape}")
        return X.T

    def forward(self, X_batch: np.ndarray, training: bool = False) -> np.ndarray:
        """y_pred (m, outputs) for X_batch (m, ...); `training` switches dropout on and batch norm to the batch's statistics."""
        if not self.layers:
            raise ValueError("the network has no layers; add_layer(Dense(inputs, outputs)) adds one")
        a = self._enter(X_batch)
        for layer in self.layers:
            a = layer.forward(a, training)
        return a.T

    def _loss(self, y: np.ndarray, y_pred: np.ndarray) -> tuple[float, np.ndarray]:
        return cross_entropy(y, y_pred, self.kernels) if self.classifies else mse(y, y_pred)

    def loss_function(self, y_batch: np.ndarray, y_pred: np.ndarray) -> float:
        """The mean loss of a batch, target first: labels (m,) or one-hot (m, classes), or numbers (m, outputs)."""
        return self._loss(y_batch, y_pred)[0]

    def backward(self, y_batch: np.ndarray, y_pred: np.ndarray, learning_rate: float | None = None) -> None:
        """Gradients of the loss, layer by layer from the last, each updated on the way if there is a learning rate."""
        da = self._loss(y_batch, y_pred)[1].T
        for layer in reversed(self.layers):
            da = layer.backward(da, learning_rate)

    # ---- many batches ---------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        epochs: int = 10,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        *,
        optimizer: str | Optimizer = "sgd",
        shuffle: bool = False,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        progress: bool = True,
    ) -> dict[str, list[float]]:
        """Train on X (N, ...) and y (N, ...) and return the history: one number per epoch under each name.

        "loss" is the mean over the batches as they were seen; with validation=(X, y), "val_loss" and the other results of
        `evaluate` on that data. optimizer: "sgd", "rmsprop", "adam", "adamw", or an object such as SGD(0.1, momentum=0.9),
        which has its own learning rate. shuffle: a new order of the samples in every epoch. progress: show a bar.
        ValueError for data that does not fit, FloatingPointError as soon as the loss is not finite.
        """
        X, y = np.asarray(X), np.asarray(y)
        if len(X) != len(y) or not len(X):
            raise ValueError(f"fit: X and y must have the same number of samples, at least one, not {len(X)} and {len(y)}")
        if batch_size < 1:
            raise ValueError(f"fit: batch_size must be at least 1, not {batch_size}")
        rule = optimizer_of(optimizer, learning_rate)
        history: dict[str, list[float]] = {"loss": []}
        starts = range(0, len(X), batch_size)
        with _progress_bar(progress) as bar:
            task = bar.add_task("", total=epochs * len(starts))
            for epoch in range(epochs):
                order = self.rng.permutation(len(X)) if shuffle else np.arange(len(X))
                total = 0.0
                for start in starts:
                    batch = order[start : start + batch_size]
                    loss = self._step(X[batch], y[batch], rule)
                    if not np.isfinite(loss):
                        place = f"epoch {epoch + 1}, batch {start // batch_size + 1}"
                        raise FloatingPointError(f"fit: the loss is {loss} in {place}. {_reason(X[batch], y[batch], rule)}")
                    total += loss * len(batch)
                    bar.update(task, advance=1, description=f"epoch {epoch + 1}/{epochs}  loss {loss:.4f}")
                history["loss"].append(total / len(X))
                if validation is not None:
                    for name, value in self.evaluate(*validation).items():
                        history.setdefault(f"val_{name}", []).append(value)
        return history

    def _step(self, X_batch: np.ndarray, y_batch: np.ndarray, rule: Optimizer) -> float:
        """Forward, backward, update; the loss before the update."""
        y_pred = self.forward(X_batch, training=True)
        self.backward(y_batch, y_pred)
        rule.step(self.layers)
        return self.loss_function(y_batch, y_pred)

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        """`forward` for any number of samples."""
        X = np.asarray(X)
        batches = range(0, max(len(X), 1), _EVALUATION_BATCH)
        return np.concatenate([self.forward(X[start : start + _EVALUATION_BATCH]) for start in batches])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most probable class of each sample, (N,) int64, or the outputs (N, D) if the last layer is not softmax."""
        outputs = self._outputs(X)
        return outputs.argmax(axis=1) if self.classifies else outputs

    def evaluate(self, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
        """The "loss" and the "accuracy" (fraction of right classes), or without softmax "mae" (mean absolute error) and "r2".

        r2 = 1 - loss / variance of y: 1 is perfect, 0 is as good as always predicting the mean. NaN for constant y.
        """
        outputs, y = self._outputs(X), np.asarray(y)
        loss = self.loss_function(y, outputs)
        if self.classifies:
            classes = y if y.ndim == 1 else y.argmax(axis=1)
            return {"loss": loss, "accuracy": float((outputs.argmax(axis=1) == classes).mean())}
        y = y.reshape(outputs.shape)
        variance = float(((y - y.mean(axis=0)) ** 2).mean())
        r2 = 1 - loss / variance if variance else float("nan")
        return {"loss": loss, "mae": float(np.abs(outputs - y).mean()), "r2": r2}

    def __repr__(self) -> str:
        lines = [f"  ({i}) {layer}: {layer.count_parameters():,}" for i, layer in enumerate(self.layers)]
        return "\n".join([f"{type(self).__name__}(", *lines, f"): {self.count_parameters():,} parameters"])


class CNN(NeuralNetwork):
    """A network for images, the size of each layer inferred from the layer before.

    input_shape is (height, width, channels). Images X may be (N, H, W, C), (N, C, H, W) or, with one channel, (N, H, W); inside
    they are (N, C, H, W). init is as in Dense, for all layers; seed draws the parameters and shuffles. ValueError for another
    shape, RuntimeError for a backend that is not built.
    """

    def __init__(self, input_shape: tuple[int, int, int], *, init: str = "small", backend: str = "numpy", seed: Seed = None):
        super().__init__(backend=backend, seed=seed)
        if len(input_shape) != 3:
            raise ValueError(f"CNN: input_shape is (height, width, channels), such as (28, 28, 1), not {input_shape}")
        self.input_shape = height, width, channels = tuple(input_shape)
        self.shape = (channels, height, width)
        self.init = init

    def add_conv_layer(
        self, n_filters: int, filter_size: int = 3, padding: int = 1, stride: int = 1, activation: str = "relu"
    ) -> None:
        """A Conv2D layer; filter_size 3 with padding 1 keeps height and width."""
        options = {"init": self.init, "seed": self.rng}
        self.add_layer(Conv2D(self.shape[0], n_filters, filter_size, stride, padding, activation, **options))

    def add_pool_layer(self, pool_size: int = 2, stride: int | None = None, kind: str = "max") -> None:
        """A pooling layer, kind "max" or "average"; stride is pool_size unless it is given."""
        pools = {"max": MaxPool2D, "average": AvgPool2D}
        if kind not in pools:
            raise ValueError(f"add_pool_layer: kind must be 'max' or 'average', not {kind!r}")
        self.add_layer(pools[kind](pool_size, stride))

    def add_flatten(self) -> None:
        """From images to columns, for dense layers to follow."""
        self.add_layer(Flatten())

    def add_dense_layer(self, units: int, activation: str = "relu") -> None:
        """A Dense layer."""
        self.add_layer(Dense(self.shape[0], units, activation, init=self.init, seed=self.rng))

    def _enter(self, X: np.ndarray) -> np.ndarray:
        """Images as (N, C, H, W)."""
        if len(self.shape) != 1:
            raise ValueError("the network ends with images; add_flatten() and add_dense_layer(classes, 'softmax') end it")
        X = np.asarray(X, dtype=np.float64)
        height, width, channels = self.input_shape
        if X.shape[1:] == self.input_shape:
            return X.transpose(0, 3, 1, 2)
        if X.shape[1:] == (channels, height, width):
            return X
        if X.shape[1:] == (height, width) and channels == 1:
            return X[:, None]
        raise ValueError(f"CNN of {self.input_shape} takes images (N, {height}, {width}, {channels}), not {X.shape}")


def _reason(X: np.ndarray, y: np.ndarray, rule: Optimizer) -> str:
    """Why the loss of a batch is NaN or infinite, and what to do: the data first."""
    for name, values in (("X", X), ("y", y)):
        if count := int((~np.isfinite(values)).sum()):
            what = f"{count} of the {values.size} numbers in this batch's {name} are NaN or infinity"
            return f"The data is not finite: {what}; clean it first, np.isfinite(...) finds them"
    features = "features of mean 0 and standard deviation 1"
    return f"Training diverges: try a learning rate below {rule.learning_rate} and {features}"


def _progress_bar(show: bool):
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # only fit needs it

    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    return Progress(*columns, disable=not show)

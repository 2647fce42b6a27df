"""A user's code, for the type checker: `make style` checks it, nothing runs it."""

from typing import Any, Callable

import torch
from torch import Tensor
from typing_extensions import assert_type

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import data, nn, optim, training

x, classes = torch.randn(2, 3), torch.tensor([0, 1])

# A layer's call takes what its forward takes, and returns what its forward returns.
assert_type(nn.Linear(3, 4)(x), Tensor)
assert_type(nn.LayerNorm(3)(x), Tensor)
assert_type(nn.GELU("tanh")(x), Tensor)
assert_type(nn.Embedding(10, 3, padding_idx=0)(classes), Tensor)
assert_type(nn.Dropout(0.5)(x), Tensor)
assert_type(nn.Conv2d(1, 2, 3)(torch.randn(1, 1, 8, 8)), Tensor)
assert_type(nn.BatchNorm1d(3)(x), Tensor)
assert_type(nn.CrossEntropyLoss(label_smoothing=0.1)(x, classes), Tensor)
assert_type(nn.MSELoss()(x, target=x), Tensor)
assert_type(nn.MultiheadAttention(4, 2)(x, x, x, need_weights=False), tuple[Tensor, Tensor | None])
assert_type(nn.TransformerEncoderLayer(4, 2)(x), Tensor)
nn.Linear(3, 4)(3)  # type: ignore[arg-type]
nn.Linear(3, 4)()  # type: ignore[call-arg]
nn.Linear(3)  # type: ignore[call-arg]


class Block(nn.Module):
    """A user's own module is torch's: its call can be anything."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(x)))


model = nn.Sequential(Block(3), nn.Linear(3, 4))

# Functions
assert_type(F.linear(x, torch.randn(4, 3)), Tensor)
assert_type(F.layer_norm(x, (3,)), Tensor)
assert_type(F.cross_entropy(x, classes), Tensor)
assert_type(scratchnet.gelu(x, approximate="tanh"), Tensor)
assert_type(scratchnet.softmax(x, -1), Tensor)
assert_type(scratchnet.matmul(x, x.T), Tensor)
scratchnet.gelu()  # type: ignore[call-arg]
F.layer_norm(x)  # type: ignore[call-arg]

# The rest of a program
optimizer = optim.Adam(model.parameters(), lr=1e-2)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
optim.SGD(model.parameters(), momentum="fast")  # type: ignore[arg-type]
with scratchnet.backend("cpp:1"):
    loss = F.cross_entropy(F.linear(x, torch.randn(4, 3)), classes)
loss.backward()
report = scratchnet.accelerate(model)
assert_type(report.swapped, list[tuple[str, str]])
train, test = data.moons()
assert_type(train.x, Tensor)
batches = data.DataLoader(data.TensorDataset(*train), batch_size=32)
history = training.fit(model, batches, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1)
assert_type(history["loss"], list[float])
assert_type(training.accuracy(x, classes), float)
decorated: Callable[..., Any] = scratchnet.backend("reference")(F.gelu)

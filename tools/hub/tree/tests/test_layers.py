"""Every layer against torch's function, with the state of a layer that takes over its forward."""

import pytest
import scratchnet_layers
import torch
import torch.nn.functional as F
from scratchnet_layers import layers
from torch import nn

TYPES = [torch.float64, torch.float32, torch.bfloat16]
LOSSES = [
    {},
    {"reduction": "sum", "label_smoothing": 0.1},
    {"reduction": "none", "ignore_index": 2},
    {"weight": torch.linspace(0.5, 2, 11)},
]


def same(y, expected):
    torch.testing.assert_close(y, expected)
    assert y.is_contiguous()


@pytest.fixture(params=TYPES, ids=str)
def dtype(request):
    torch.manual_seed(0)
    return request.param


@pytest.mark.kernels_ci
@pytest.mark.parametrize("shape", [(33,), (3, 11)])
@pytest.mark.parametrize("affine", [True, False])
def test_norms(dtype, shape, affine):
    x, residual = torch.randn(2, 5, *shape, dtype=dtype)
    norm = nn.LayerNorm(shape, eps=1e-3, elementwise_affine=affine, dtype=dtype)
    rms = nn.RMSNorm(shape, elementwise_affine=affine, dtype=dtype)
    with torch.no_grad():
        for parameter in (*norm.parameters(), *rms.parameters()):
            parameter.normal_()
        same(layers.LayerNorm.forward(norm, x), norm(x))
        same(layers.RMSNorm.forward(rms, x), rms(x))
        total, y = layers.AddLayerNorm.forward(norm, x, residual)
        same(total, x + residual)
        same(y, F.layer_norm(total.double(), shape, *(p.double() for p in norm.parameters()), eps=1e-3).to(dtype))


@pytest.mark.kernels_ci
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_activations(dtype, approximate):
    x = torch.randn(7, 34, dtype=dtype)
    first, second = x.double().chunk(2, -1)
    same(layers.GELU.forward(nn.GELU(approximate), x), F.gelu(x, approximate=approximate))
    same(layers.GEGLU().forward(x), (first * F.gelu(second)).to(dtype))
    same(layers.SwiGLU().forward(x), (F.silu(first) * second).to(dtype))
    expected = (first * F.gelu(second, approximate=approximate)).T.to(dtype)
    torch.testing.assert_close(scratchnet_layers.geglu(x.T, 0, approximate), expected)


@pytest.mark.kernels_ci
@pytest.mark.parametrize("options", LOSSES, ids=str)
def test_losses(dtype, options):
    if "weight" in options:
        options = {**options, "weight": options["weight"].to(dtype)}
    x, target = 3 * torch.randn(6, 11, 4, dtype=dtype), torch.randint(11, (6, 4))
    loss = nn.CrossEntropyLoss(**options)
    same(layers.CrossEntropyLoss.forward(loss, x, target), loss(x, target))
    same(layers.CrossEntropyLoss.forward(loss, x[0].T, target[0]), loss(x[0].T, target[0]))
    if "ignore_index" not in options:
        same(layers.CrossEntropyLoss.forward(loss, x, x.softmax(1)), loss(x, x.softmax(1)))
    head, rows = nn.Linear(8, 11, dtype=dtype), torch.randn(5, 8, dtype=dtype)
    loss.linear = head
    with torch.no_grad():
        wide = [t.double() for t in (rows, head.weight, head.bias)]
        options = {name: t.double() if name == "weight" else t for name, t in options.items()}
        expected = F.cross_entropy(F.linear(*wide), target[0, [0, 1, 2, 3, 0]], **options).to(dtype)
        same(layers.LinearCrossEntropyLoss.forward(loss, rows, target[0, [0, 1, 2, 3, 0]]), expected)


@pytest.mark.kernels_ci
def test_embedding(dtype):
    table, index = nn.Embedding(9, 5, dtype=dtype), torch.randint(9, (3, 4))
    with torch.no_grad():
        same(layers.Embedding.forward(table, index), table(index))
        same(layers.Embedding.forward(table, index.int()), table(index))
        short = nn.Embedding(9, 5, max_norm=0.1, dtype=dtype)
        torch.testing.assert_close(layers.Embedding.forward(short, index), short(index))
    with pytest.raises((IndexError, RuntimeError)):
        scratchnet_layers.embedding(torch.tensor([9]), table.weight.detach())


@pytest.mark.kernels_ci
def test_compiled():
    """One graph, whose results have the shapes and types that torch.compile was told."""
    torch.manual_seed(0)
    table, norm = nn.Embedding(9, 6), nn.LayerNorm(6)

    def step(index, target):
        x = layers.Embedding.forward(table, index)
        total, y = layers.AddLayerNorm.forward(norm, x, x)
        y = layers.RMSNorm.forward(norm, layers.LayerNorm.forward(norm, y))
        y = layers.SwiGLU.forward(None, torch.cat([total, y], -1)) + layers.GEGLU.forward(None, torch.cat([y, y], -1))
        loss = scratchnet_layers.linear_cross_entropy(scratchnet_layers.gelu(y), table.weight, target)
        return loss, scratchnet_layers.cross_entropy(y, target % 6, reduction="none")

    index, target = torch.randint(9, (7,)), torch.randint(9, (7,))
    with torch.no_grad():
        compiled = torch.compile(step, backend="aot_eager", fullgraph=True)(index, target)
        for got, expected in zip(compiled, step(index, target), strict=True):
            torch.testing.assert_close(got, expected, rtol=0, atol=0)

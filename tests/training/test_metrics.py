"""Metrics by their definitions, on whole data sets."""

import math

import pytest
import torch

from scratchnet import nn
from scratchnet.data import DataLoader, TensorDataset
from scratchnet.training import accuracy, evaluate, mae, mse, nats, predict, r2


def test_accuracy():
    outputs = torch.tensor([[0.1, 0.9], [2.0, 1.0], [0.0, 1.0], [-1.0, -2.0]])
    assert accuracy(outputs, torch.tensor([1, 0, 0, 0])) == 0.75
    assert accuracy(outputs.view(2, 2, 2), torch.tensor([[0, 0], [1, 0]])) == 0.25  # (N, C, T): argmax of dim 1


def test_nats():
    outputs = torch.tensor([[3.0, 0.25], [0.0, 0.0]]).log()[:1]
    assert nats(outputs, torch.tensor([1])) == pytest.approx(math.log(13))
    assert nats(torch.zeros(5, 27), torch.arange(5)) == pytest.approx(math.log(27))


def test_errors():
    outputs, targets = torch.tensor([[1.0], [2.0], [5.0]]), torch.tensor([[1.0], [4.0], [4.0]])
    assert mse(outputs, targets) == pytest.approx(5 / 3)
    assert mae(outputs, targets) == pytest.approx(1)
    assert r2(outputs, targets) == pytest.approx(1 - 5 / 6)
    assert r2(targets, targets) == 1 and r2(torch.full((3, 1), 3.0), targets) == 0
    assert math.isnan(r2(outputs, torch.ones(3, 1)))


@pytest.mark.parametrize("metric", [mse, mae, r2])
def test_shapes_must_agree(metric):
    with pytest.raises(ValueError, match=rf"{metric.__name__}\(\): argument 'outputs'.*\(3,\), got \(3, 1\); outputs.squeeze"):
        metric(torch.zeros(3, 1), torch.zeros(3))


def test_predict_in_batches_is_predict_at_once():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)).train()
    x, y = torch.randn(700, 3), torch.randn(700, 4)
    loader = DataLoader(TensorDataset(x, y), batch_size=33)
    with torch.no_grad():
        expected = model[0](x)
    for data in ((x, y), loader):
        outputs, targets = predict(model, data)
        torch.testing.assert_close(outputs, expected)
        assert torch.equal(targets, y) and not outputs.requires_grad and model.training
    results = evaluate(model, loader, nn.MSELoss(), [mae, r2])
    assert results == pytest.approx({"loss": mse(expected, y), "mae": mae(expected, y), "r2": r2(expected, y)}, rel=1e-5)

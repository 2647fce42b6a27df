"""The pictures that lessons save show the numbers that they were given."""

import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from scratchnet.cli import main
from scratchnet.course import Value, picture


def saved(desk, name, *words):
    """Whether the picture is there, with a title and these words for those who cannot see it."""
    root = ElementTree.parse(desk / "pictures" / f"{name}.svg").getroot()
    title, description = (root.findtext(f"{{http://www.w3.org/2000/svg}}{part}") for part in ("title", "desc"))
    return root.get("role") == "img" and title and all(word in description for word in words)


def test_curves(desk, drawn, capsys):
    panels = {"a": {"f": ([0, 1], [1.0, 10.0]), "g": ([0, 1], [2.0, 3.0])}, "b": {"h": ([0], [4.0])}}
    picture.curves("c", panels, x="step", log=True)
    assert saved(desk, "c", "a, f: from 1 at step 0 to 10 at step 1, lowest 1, highest 10.", "b, h: from 4 at step 0 to 4")
    assert capsys.readouterr().out == "picture: pictures/c.svg\n"
    left, right = drawn[0].axes
    assert [(axes.get_title(), axes.get_xlabel(), axes.get_yscale()) for axes in (left, right)] == [
        ("a", "step", "log"),
        ("b", "step", "log"),
    ]
    assert [line.get_linestyle() for line in left.lines] == ["-", "--"]  # told apart without colours
    lines = {line.get_label(): line.get_xydata().tolist() for line in [*left.lines, *right.lines]}
    assert lines == {"f": [[0, 1], [1, 10]], "g": [[0, 2], [1, 3]], "h": [[0, 4]]}


def test_graph_of_lesson_11(desk, drawn):
    x, y = Value(2.0, "x"), Value(3.0, "y")
    p = x * y
    z = p + x
    z.backward()
    picture.graph("g", z, {"p": p, "z": z})
    assert saved(desk, "g", "p = x * y, 6, grad 1; z = p + x, 8, grad 1. Arrows: x to p: 3; y to p: 2; p to z: 1; x to z: 1.")
    texts = drawn[0].axes[0].texts
    words = {text.get_text().replace("\n", " "): text.get_position() for text in texts if "grad" in text.get_text()}
    assert words == {
        "x 2 grad 4": (0, 0.5),
        "y 3 grad 2": (0, -0.5),
        "p = x * y 6 grad 1": (2, 0),
        "z = p + x 8 grad 1": (4, 0),
    }
    assert sorted(text.get_text() for text in texts if text.get_text().isdigit()) == ["1", "1", "2", "3"]
    arrows = [(text.xyann, text.xy) for text in texts if getattr(text, "arrow_patch", None)]
    x, y, p, z = words.values()
    assert sorted(arrows) == sorted([(x, p), (y, p), (p, z), (x, z)])


def test_arrows_reach_their_boxes(desk, drawn):
    x = Value(2.0, "x")
    picture.graph("g", x.relu(), {})
    drawn[0].canvas.draw()
    box, other, *_ = drawn[0].axes[0].texts
    (arrow,) = [text.arrow_patch for text in drawn[0].axes[0].texts if getattr(text, "arrow_patch", None)]
    reached = arrow.get_path().get_extents(arrow.get_transform())
    left, right = box.get_bbox_patch().get_window_extent(), other.get_bbox_patch().get_window_extent()
    assert (reached.x0, reached.x1) == pytest.approx((left.x1, right.x0), abs=4)  # pixels


def test_results_without_a_name_show_what_they_are_made_of(desk, drawn):
    x = Value(2.0, "x")
    picture.graph("g", (x * x).relu() ** 2.0 + 3, {})
    made = {text.get_text().split("\n")[0] for text in drawn[0].axes[0].texts if "grad" in text.get_text()}
    assert made == {"x", "x * x", "relu(*)", "relu ** 2.0", "** 2.0 + 3", "constant"}


def test_attention_maps(desk, drawn):
    weights = torch.rand(2, 3, 3)
    weights[1, 2, 0] = 1
    picture.attention("w", weights, "abc")
    assert saved(desk, "w", "Head 1: a (1) takes most from", "c (3) takes most from a (1).")
    for axes, expected in zip(drawn[0].axes[:2], weights, strict=True):  # the third is the scale
        np.testing.assert_allclose(axes.images[0].get_array(), expected)
        assert axes.images[0].get_clim() == (0, 1)  # the largest weight of a row but the first
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
    picture.graph("g", y + x, {})
    heights = [text.get_position()[1] for text in drawn[0].axes[0].texts if text.get_text() == "1"]
    assert max(heights) > 0.4 and sorted(heights)[:-1] == [0] * (depth + 1)

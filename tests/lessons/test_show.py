"""The pictures made of text."""

import numpy as np
import torch

from scratchnet.course import chart, describe, meeting, memory


def test_an_array_is_described_as_the_tensor_that_it_could_be():
    x = np.zeros((2, 3), dtype=np.float32)
    assert describe(x) == describe(torch.from_numpy(x)) == "shape (2, 3), stride (3, 1), float32, cpu, 24 bytes"


def test_each_cell_of_memory_shows_the_indices_that_lead_to_it():
    x = torch.tensor([7.0, 8.0, 9.0])
    picture = memory(x, {"x[1:]": x[1:], "x[:2].expand(2, 2)": x[:2].expand(2, 2), "x.clone()": x.clone()})
    assert [line.split() for line in picture.splitlines()] == [
        ["value", "7", "8", "9"],
        ["x[1:]", "·", "[0]", "[1]"],
        ["x[:2].expand(2,", "2)", "[0,0][1,0]", "[0,1][1,1]", "·"],
        ["x.clone()", "elsewhere:", "memory", "of", "its", "own"],
    ]


def test_shapes_meet_at_the_right():
    lines = [line.split() for line in meeting((8, 3, 28, 28), (3, 1, 1)).splitlines()]
    assert lines[0] == ["axis", "-4", "-3", "-2", "-1"] and lines[-1] == ["together", "8", "3", "28", "28"]
    assert meeting((3,), (3,)).splitlines()[-1].split() == ["together", "3"]
    assert meeting((0, 1), (1, 1)).splitlines()[-1].split() == ["together", "0", "1"]


def test_a_clash_is_marked_under_its_axis():
    *_, shape, clash = meeting((4, 3), (2, 4, 1), (5, 1)).splitlines()
    assert clash.startswith("clash") and clash.index("^") == shape.index("5", shape.index(")"))


def test_a_chart_shows_every_finite_point_where_it_belongs():
    lines = chart({"line": ([0, 1, 2], [0, 5, 10]), "end": ([2, 3], [0, np.nan])}, width=9, height=3).splitlines()
    assert [line.split("│")[-1] for line in lines[:3]] == ["        ●", "    ●", "●       ○"]
    assert [line.split("│")[0].strip() for line in lines[:3]] == ["10", "", "0"]
    assert lines[-2].split() == ["0", "2"] and lines[-1].split() == ["●", "line", "○", "end"]


def test_a_logarithmic_chart_has_factors_for_heights():
    lines = chart({"loss": ([0, 1, 2, 3], [100, 1, 0.01, 0])}, width=3, height=5, log=True).splitlines()
    assert [line.split("│")[-1] for line in lines[:5]] == ["●", "", " ●", "", "  ●"]
    assert lines[0].split()[0] == "100" and lines[4].split()[0] == "0.01"


def test_what_is_above_the_top_is_drawn_on_the_upper_edge():
    lines = chart({"explodes": ([0, 1, 2], [1, 1e9, np.inf])}, width=3, height=3, log=True, top=100).splitlines()
    assert [line.split("│")[-1] for line in lines[:3]] == [" ●●", "", "●"]
    assert lines[0].split()[0] == "100"

"""The pictures made of text."""

import numpy as np
import torch

from scratchnet.teaching import describe, meeting, memory


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

"""What a reader's process sends: values come back as they were, and nothing that is sent runs."""

import math
import pickle

import numpy as np
import pytest
import torch

from scratchnet.course.facts import difference, kind, same, text
from scratchnet.course.sent import read, written

VALUES = [
    None, True, 3, -2.5, math.inf, "text", (1, (2.0, "a")), [1, [None]], {"a": 1, (1, 2): [3]}, torch.tensor(7),
    torch.tensor([[1.5, -0.0], [math.inf, 2.0]]).mT, torch.ones(2, 3, dtype=torch.bfloat16), torch.tensor([True, False]),
    torch.ones(0, 3), torch.tensor(1.0).expand(1, 1), torch.ones(2, requires_grad=True),
    torch.tensor([1 + 2j]).conj(), np.arange(6.0).reshape(2, 3).T,
    np.zeros((0, 2), dtype=np.int32), np.array(True), 10**30,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: text(value)[:30])
def test_a_value_comes_back_as_it_was(value):
    back = read(written(value))
    assert same(back, value) and type(back) is (torch.Tensor if isinstance(value, torch.Tensor) else type(value))
    if isinstance(value, (torch.Tensor, np.ndarray)):
        assert back.dtype == value.dtype and back.shape == value.shape


def test_what_the_grader_says_of_a_value_is_what_it_said():
    for value in (
        np.float32(0.1),
        np.bool_(True),
        np.int8(3),
        torch.Size([2, 4]),
        torch.ones(2, 3).max(1),
        np.float64(math.nan),
    ):
        assert kind(read(written(value))) == kind(value) and text(read(written(value))) == text(value)
    for value in (torch.float32, np.dtype("float32"), torch.device("cpu"), torch.Tensor, ..., {1, 2}, slice(1, 2)):
        assert same(read(written(value)), read(written(value))) and kind(read(written(value))) == kind(value)
    assert not same(read(written(torch.float32)), read(written(torch.float64)))
    assert not same(read(written(abs)), read(written(abs))) and "parentheses" in kind(read(written(abs)))
    module = torch.nn.ReLU()
    assert not same(read(written(module)), read(written(module))) and kind(read(written(module))) == kind(module)
    assert difference("torch.int64", read(written(torch.int64)), reveal=True).endswith("write torch.int64 without quotes")


def test_an_exception_comes_back_by_name_and_text():
    back = read(written(KeyError("a")))
    assert isinstance(back, Exception) and text(back) == "KeyError: 'a'" and same(back, read(written(KeyError("a"))))
    assert back.explained == "KeyError: 'a'" and back.line == ""
    assert not isinstance(read(written(SystemExit(0))), Exception)


class Broken:
    def __repr__(self):
        return 1 / 0


def test_an_object_that_cannot_be_shown_is_named():
    assert text(read(written(Broken()))) == "<Broken>"


class Bomb:
    def __reduce__(self):
        return exit, (0,)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Bomb()), b"", b"{}", b'{"list": 1}', b'{"error": {}}', b'{"run": "exit()"}', b'{"list": [], "dict": []}',
        b'{"tensor": {"dtype": "save", "shape": [], "bytes": ""}}',
        b'{"array": {"dtype": "O", "shape": [1], "bytes": "QUFBQUFBQUE="}}',
        b'{"tensor": {"dtype": "float32", "shape": [1000000000000], "bytes": ""}}',
        b'{"other": {"kind": "a list"}}',
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(data):
    with pytest.raises(ValueError, match="this is no value"):
        read(data)

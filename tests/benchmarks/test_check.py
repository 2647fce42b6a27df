"""benchmarks/check.py: what becomes slower or less accurate turns it red, noise does not."""

import json
import math
import runpy
from pathlib import Path

import pytest

from scratchnet.measure import bench, machine
from scratchnet.ops import OPS

PATH = Path(__file__).parents[2] / "benchmarks" / "check.py"
ROW = {"forward": [1.9, 2.0, 2.2], "forward+backward": [3.0, 3.0, 3.0], "error": 0.1}
SAME = {"forward": 2.0, "forward+backward": 3.0, "error": 0.1}


@pytest.fixture
def check():
    """The names in the file."""
    return runpy.run_path(str(PATH))


def compare(check, row, *again):
    """What is reported for a row that is first measured as `row` and then, each time it is repeated, as the next of `again`."""
    turns = iter(again)
    sentences = check["compare"]({"gelu": ROW}, {"gelu": row}, lambda name: next(turns))
    assert next(turns, None) is None, "not measured as often as expected"
    return sentences


def test_the_same_is_no_news(check):
    assert compare(check, SAME) == []


@pytest.mark.parametrize(
    "change",
    [
        {"forward": 1.74},  # the passes differed by 2.2 / 1.9: down to 2.0 * 1.9 / 2.2 = 1.727 it is noise
        {"forward+backward": 2.71},  # the passes did not differ here: a tenth is noise even so
        {"forward": 9.0, "forward+backward": 9.0},
        {"error": 0.19},
        {"error": 0.0},
    ],
)
def test_noise_and_gains_are_no_news(check, change):
    assert compare(check, SAME | change) == []


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"forward": 1.71}, "gelu: forward 1.71 x torch, was 2.00 (1.90-2.20)"),
        ({"forward+backward": 2.69}, "gelu: forward+backward 2.69 x torch, was 3.00 (3.00-3.00)"),
        ({"forward": math.nan}, "gelu: forward nan x torch, was 2.00 (1.90-2.20)"),
        ({"error": 0.21}, "gelu: error 0.21 of its bound, was 0.1"),
        ({"error": math.nan}, "gelu: error nan of its bound, was 0.1"),
    ],
)
def test_a_row_that_stays_worse_is_named(check, change, sentence):
    assert compare(check, SAME | change, SAME | change, SAME | change) == [sentence]


def test_a_row_that_is_worse_once_is_measured_again(check):
    slow = SAME | {"forward": 1.0}
    assert compare(check, slow, SAME) == []
    assert compare(check, slow, slow, SAME) == []
    # Something else is worse the second time: neither is worse both times.
    assert compare(check, slow, SAME | {"forward+backward": 1.0}) == []


def test_rows_come_and_go_with_the_table_alone(check):
    fail = lambda name: pytest.fail(f"{name} is measured again")
    assert check["compare"]({"gone": ROW, "kept": ROW}, {"kept": SAME, "new": SAME}, fail) == [
        "gone: in the table, but not measured",
        "new: not in the table",
    ]


def test_what_the_table_says_of_some_passes(check):
    passes = [{"forward": f, "error": e} for f, e in ((2.0, 0.1), (1.23456, 0.3), (3.0, 0.2))]
    assert check["summary"](passes) == {"forward": [1.23, 2.0, 3.0], "error": 0.3}


def test_every_operator_has_rows_in_and_out_of_the_caches(check):
    names = [case.name for case in check["cases"]()]
    assert len(set(names)) == len(names) == 4 * len(OPS)
    rows, columns = OPS["gelu"].sizes[0]
    for dtype in ("float32", "bfloat16"):
        assert {f"gelu 256x256 {dtype}", f"gelu {rows}x{columns} {dtype}"} <= set(names)


def test_a_row_is_measured_beside_torch(check, monkeypatch):
    monkeypatch.setattr(bench, "interleave", lambda calls, *_: {name: [0.1 if name else 0.2] * 3 for name in calls})
    case = check["Case"](OPS["gelu"], 3, 5, check["DTYPES"][0])
    row = case.measure()
    assert (case.name, list(row)) == ("gelu 3x5 float32", ["forward", "forward+backward", "error"])
    assert (row["forward"], row["forward+backward"]) == (2.0, 2.0)
    assert 0 < row["error"] <= 1


@pytest.fixture
def run(check, monkeypatch, tmp_path):
    """The command on two made-up rows whose ratio is `run.speed`; the table is in a temporary file."""
    module = check["main"].__globals__
    monkeypatch.setitem(module, "TABLE", tmp_path / "expected.json")
    monkeypatch.setattr(machine, "kind", lambda: run.kind)

    class Made:
        def __init__(self, name):
            self.name = name

        def measure(self):
            return {"forward": run.speed, "error": 0.1}

    monkeypatch.setitem(module, "cases", lambda: [Made("a"), Made("b")])

    def run(*argv):
        return check["main"](list(argv))

    run.kind, run.speed, run.table = "this machine", 2.0, module["TABLE"]
    return run


def test_the_command_turns_red_when_a_kernel_is_slower(run, capsys):
    assert run("--write") == 0
    assert run() == 0
    run.speed = 1.5
    assert run() == 1
    text = capsys.readouterr().out
    assert "WORSE a: forward 1.50 x torch, was 2.00 (2.00-2.00)" in text and "2 rows, 2 worse" in text


def test_the_rows_of_some_operators_are_measured_again(run, check, monkeypatch):
    made = type(check["main"].__globals__["cases"]()[0])
    monkeypatch.setitem(check["main"].__globals__, "cases", lambda: [made("gelu 1x1"), made("gather 1x1")])
    assert run("--write") == 0
    run.speed = 1.0
    assert run("--write", "gather") == 0
    (entry,) = json.loads(run.table.read_text()).values()
    assert {name: row["forward"][1] for name, row in entry["rows"].items()} == {"gelu 1x1": 2.0, "gather 1x1": 1.0}
    assert " The rows of gather: Measured " in entry["measured"]
    assert run("gather") == 0 and run() == 1  # gelu's became worse
    with pytest.raises(SystemExit):
        run("nothing")


def test_another_machine_is_told_how_to_measure_and_keeps_what_is_there(run, capsys):
    assert run("--write") == 0
    run.kind = "another machine"
    assert run() == 2
    text = capsys.readouterr().out
    assert "nothing about such a machine (another machine), only about: this machine" in text
    assert "python benchmarks/check.py --write" in text
    run.speed = 5.0
    assert run("--write") == 0
    table = json.loads(run.table.read_text())
    middles = {kind: entry["rows"]["b"]["forward"][1] for kind, entry in table.items()}
    assert middles == {"this machine": 2.0, "another machine": 5.0}


def test_the_kind_of_a_machine_is_what_ratios_depend_on():
    kind, facts = machine.kind(), machine.facts()
    for words in (str(facts["isa"]), f"{facts['threads']} threads", "OMP_WAIT_POLICY", f"torch {facts['torch']}"):
        assert words in kind


def test_the_committed_table_is_about_the_calls_that_are_measured(check):
    if not check["TABLE"].exists():
        pytest.skip("nothing was measured yet: python benchmarks/check.py --write")
    names = {case.name for case in check["cases"]()}
    for kind, entry in json.loads(check["TABLE"].read_text()).items():
        assert set(entry["rows"]) == names, kind
        for row in entry["rows"].values():
            assert 0 <= row["error"] <= 1
            ratios = [values for what, values in row.items() if what != "error"]
            assert ratios and all(0 < low <= middle <= high for low, middle, high in ratios)

"""`scratchnet bench`: every operator is measured, and what is written is what was measured."""

import csv
from dataclasses import replace

import pytest
import torch

from scratchnet import backends, bench
from scratchnet.cli import main, options
from scratchnet.registry import OPS

FRAME = "before\n<!-- bench -->\n{}<!-- /bench -->\nafter\n"


@pytest.fixture
def small(monkeypatch):
    """Every operator at one odd size."""
    monkeypatch.setattr(options, "OPS", {name: replace(op, sizes=((5, 7), (2, 3))) for name, op in OPS.items()})


def records(path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_quick_measures_every_operator(small, clock, tmp_path, capsys):
    path = tmp_path / "figures.csv"
    assert main(["bench", "--quick", "--csv", str(path)]) == 0
    rows = records(path)
    both = [(name, way) for name in OPS for way in ("forward", "forward+backward")]
    assert [(row["op"], row["direction"]) for row in rows] == both
    for row in rows:
        assert row["example"] == next(iter(OPS[row["op"]].examples))
        assert (row["rows"], row["columns"], row["dtype"]) == ("5", "7", "float32")
        assert float(row["ratio_low"]) == float(row["ratio_median"]) == float(row["ratio_high"]) == 2.0
        assert (float(row["seconds_median"]), float(row["torch_seconds_median"])) == (0.1, 0.2)
        assert float(row["bandwidth_share"]) == pytest.approx(int(row["bytes"]) / 0.1 / 1e9)
        assert float(row["gigaflops"]) == pytest.approx(int(row["flops"]) / 0.1 / 1e9)
        assert float(row["error"]) <= float(row["bound"]) and row["ok"] == "True"
        assert row["default"] == backends.fastest(OPS[row["op"]])
        assert row["torch"] == torch.__version__ and row["machine"] and row["date"]
    text = capsys.readouterr().out
    assert text.count("2.00 (2.00-2.00)") == 2 * len(OPS)


def test_bytes_are_those_of_the_registry(small, clock, tmp_path):
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--quick", "--csv", str(path)]) == 0
    forward, both = records(path)[:2]
    assert (forward["bytes"], both["bytes"]) == (str(2 * 35 * 4), str((2 + 3) * 35 * 4))


def test_all_examples_sizes_and_backends(small, clock, tmp_path):
    path = tmp_path / "figures.csv"
    options = ["--backend", "torch", "--backend", "numpy", "--dtype", "bfloat16", "--threads", "1"]
    assert main(["bench", "geglu", *options, "--csv", str(path)]) == 0
    rows = records(path)
    got = {(row["example"], row["rows"], row["backend"], row["direction"]) for row in rows}
    directions = ("forward", "forward+backward")
    assert got == {(e, n, b, d) for e in OPS["geglu"].examples for n in "52" for b in ("torch", "numpy") for d in directions}
    assert len(rows) == len(got)
    assert {row["threads"] for row in rows} == {"1"}
    assert {row["dtype"] for row in rows} == {"bfloat16"}


def test_threads_are_put_back(small, clock):
    torch.set_num_threads(2)
    assert main(["bench", "gelu", "--quick", "--threads", "1", "--backend", "torch"]) == 0
    assert torch.get_num_threads() == 2


def test_real_clock_gives_positive_figures(small, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "bandwidth", lambda: 1e9)
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--quick", "--csv", str(path), "--backend", "torch"]) == 0
    for row in records(path):
        low, median, high = (float(row[f"ratio_{part}"]) for part in ("low", "median", "high"))
        assert 0 < low <= median <= high
        assert float(row["seconds_low"]) > 0


def test_candidates_take_turns(monkeypatch):
    order = []
    monkeypatch.setattr(bench, "_timed", lambda call, repeat: call() or 1.0)
    calls = {name: lambda name=name: order.append(name or "torch's") for name in (None, "torch", "numpy")}
    times = bench._interleave(calls, seconds=0)
    assert {name: len(values) for name, values in times.items()} == {None: 3, "torch": 3, "numpy": 3}
    rounds = [order[i : i + 3] for i in range(3, 12, 3)]  # after one call each to warm up
    assert all(sorted(names) == ["numpy", "torch", "torch's"] for names in rounds)
    assert [names[0] for names in rounds] == ["torch's", "torch", "numpy"]


def test_spread_is_median_and_quartiles():
    assert bench.Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == (2.0, 3.0, 4.0)


def test_bandwidth_counts_two_reads_and_a_write(monkeypatch):
    monkeypatch.setattr(bench, "_timed", lambda call, repeat: call() is None or 0.5)
    assert bench.bandwidth(mebibytes=1) == 3 * 2**20 / 0.5


def test_large_calls_are_judged_in_fewer_rows(clock):
    rows = list(bench.case(OPS["gelu"], "none", 2048, 512, torch.float32, ["torch"], 0, 1e9))
    assert {row.oracle_rows for row in rows} == {512}
    assert {row.rows for row in rows} == {2048}


def test_wrong_kernel_fails_however_fast(small, clock, plant, capsys):
    plant(lambda y: y * 1.01)
    assert main(["bench", "gelu", "--quick", "--backend", "torch"]) == 1
    assert "WRONG gelu [none] on torch" in capsys.readouterr().out


def test_readme_table_is_replaced_and_nothing_else(small, clock, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(FRAME.format("an old table\n"))
    for _ in range(2):
        assert main(["bench", "geglu", "--quick", "--backend", "torch", "--readme", str(path)]) == 0
        text = path.read_text()
        assert text.startswith(FRAME.split("{}")[0]) and text.endswith(FRAME.split("{}")[1])
        assert "an old table" not in text
        table = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
        assert [line[0].strip() for line in table] == ["operator", "---", "geglu, none"]
        assert len({len(line) for line in table}) == 1
        assert table[2][5].strip() == "2.00 (2.00-2.00)"
        assert f"torch {torch.__version__}" in text


def test_readme_without_a_place_is_refused_before_measuring(clock, tmp_path, monkeypatch):
    path = tmp_path / "README.md"
    path.write_text("no markers\n")
    monkeypatch.setattr(bench, "case", None)
    with pytest.raises(SystemExit, match="no place for the table"):
        main(["bench", "--quick", "--readme", str(path)])
    assert path.read_text() == "no markers\n"

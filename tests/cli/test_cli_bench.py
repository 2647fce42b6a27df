"""`scratchnet bench`: every operator is measured, and what is written is what was measured."""

import csv
from dataclasses import replace

import pytest
import torch

from scratchnet import _compiled, backends, profile
from scratchnet.cli import main, options
from scratchnet.measure import bench, roof, roofline
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS

FRAME = "before\n<!-- bench -->\n{}<!-- /bench -->\nafter\n"


@pytest.fixture
def small(monkeypatch):
    """Every operator at one odd size."""
    monkeypatch.setattr(options, "OPS", {name: replace(op, sizes=((5, 7), (2, 3))) for name, op in OPS.items()})


def records(path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.full
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
        moved, flops = int(row["bytes"]), int(row["flops"])
        assert float(row["share"]) == pytest.approx(flops / 0.1 / 1e10 if flops > 16 * moved else moved / 0.1 / 1e9)
        assert float(row["gigabytes"]) == pytest.approx(moved / 0.1 / 1e9)
        assert float(row["gigaflops"]) == pytest.approx(flops / 0.1 / 1e9)
        assert float(row["error"]) <= float(row["bound"])
        assert (row["device"], row["cache"]) == ("cpu", "warm")
        assert row["default"] == backends.default()
        assert float(row["default_ratio"]) == (2.0 if backends.default() == "cpp" else 1.0)
        assert row["torch"] == torch.__version__ and row["machine"] and row["date"]
    text = capsys.readouterr().out
    assert text.count("2.00 (2.00-2.00)") == 2 * len(OPS)


def test_bytes_are_those_of_the_operator(small, clock, tmp_path):
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--quick", "--csv", str(path)]) == 0
    forward, both = records(path)[:2]
    assert (forward["bytes"], both["bytes"]) == (str(2 * 35 * 4), str((2 + 3) * 35 * 4))


@pytest.mark.full
def test_all_examples_sizes_and_backends(small, clock, tmp_path):
    path = tmp_path / "figures.csv"
    options = ["--backend", "reference", "--backend", "numpy", "--dtype", "bfloat16", "--threads", "1"]
    assert main(["bench", "geglu", *options, "--csv", str(path)]) == 0
    rows = records(path)
    got = {(row["example"], row["rows"], row["backend"], row["direction"]) for row in rows}
    directions = ("forward", "forward+backward")
    assert got == {
        (e, n, b, d) for e in OPS["geglu"].examples for n in "52" for b in ("reference", "numpy") for d in directions
    }
    assert len(rows) == len(got)
    assert {row["threads"] for row in rows} == {"1"}
    assert {row["dtype"] for row in rows} == {"bfloat16"}


@pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")
@pytest.mark.parametrize("faster", ("cpp", "torch"))
def test_the_default_is_that_of_the_very_call(small, clock, faster, monkeypatch, tmp_path, capsys):
    """Where torch's own is the default it is as fast as torch's own; another backend's ratio is not the default's."""
    monkeypatch.setattr(
        profile, "ours", lambda op, variant, dtype, size: (op, variant, size) == ("gelu", "none", 35) or faster == "cpp"
    )
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--backend", "cpp", "--backend", "reference", "--csv", str(path)]) == 0
    for row in records(path):
        call = (row["op"], row["example"], row["rows"])
        assert row["default"] == ("cpp" if call == ("gelu", "none", "5") else faster)
        expected = "1.0" if row["default"] == "torch" else "2.0" if row["backend"] == "cpp" else ""
        assert row["default_ratio"] == expected
    assert "default x torch" in " ".join(capsys.readouterr().out.split())


def test_threads_are_put_back(small, clock):
    torch.set_num_threads(2)
    assert main(["bench", "gelu", "--quick", "--threads", "1", "--backend", "reference"]) == 0
    assert torch.get_num_threads() == 2


def test_real_clock_gives_positive_figures(small, monkeypatch, tmp_path):
    monkeypatch.setattr(Roof, "measure", lambda device, dtype: Roof(1e9, 1e10))
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--quick", "--csv", str(path), "--backend", "reference"]) == 0
    for row in records(path):
        low, median, high = (float(row[f"ratio_{part}"]) for part in ("low", "median", "high"))
        assert 0 < low <= median <= high
        assert float(row["seconds_low"]) > 0


def test_candidates_take_turns(monkeypatch):
    order = []
    monkeypatch.setattr(bench, "timed", lambda call, repeat, device: call() or 1.0)
    calls = {name: lambda name=name: order.append(name or "torch's") for name in (None, "reference", "numpy")}
    times = bench.interleave(calls, seconds=0, device="cpu", cold=False)
    assert {name: len(values) for name, values in times.items()} == {None: 3, "reference": 3, "numpy": 3}
    rounds = [order[i : i + 3] for i in range(3, 12, 3)]  # after one call each to warm up
    assert all(sorted(names) == ["numpy", "reference", "torch's"] for names in rounds)
    assert [names[0] for names in rounds] == ["torch's", "reference", "numpy"]


@pytest.mark.full
def test_cold_caches_are_emptied_before_every_single_call(small, clock, monkeypatch, tmp_path):
    happened = []
    buffer = torch.ones(3)
    monkeypatch.setattr(bench, "_flush_buffer", lambda device: happened.append("flush") or buffer)
    monkeypatch.setattr(bench, "timed", lambda call, repeat, device: happened.append(repeat) or 1e-4)
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--quick", "--cold", "--backend", "reference", "--csv", str(path)]) == 0
    assert [(row["direction"], row["cache"]) for row in records(path)][:4] == [
        (direction, cache) for direction in ("forward", "forward+backward") for cache in ("warm", "cold")
    ]
    assert not buffer.any()
    first = happened.index("flush")
    assert 10 in happened[:first]  # warm: as often as a millisecond holds
    cold = happened[first : first + 2 * (4 + 6)]  # two candidates, twice each to warm up, three rounds
    assert cold == ["flush", 1] * 10


def test_compiled_torch_is_a_second_baseline(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Roof, "measure", lambda device, dtype: Roof(1e9, 1e10))
    compiled = []

    def compile(function):
        compiled.append(lambda *args, **kwargs: function(*args, **kwargs))
        return compiled[-1]

    def timed(call, repeat, device):
        call()
        if backends.current():
            return 0.1
        cells = [cell.cell_contents for cell in call.__wrapped__.__closure__] if hasattr(call, "__wrapped__") else []
        return 0.3 if any(cell in compiled for cell in cells) else 0.2

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(bench, "timed", timed)
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--quick", "--compile", "--backend", "reference", "--csv", str(path)]) == 0
    row = records(path)[0]
    assert (float(row["ratio_median"]), float(row["compiled_ratio_median"])) == pytest.approx((2.0, 3.0))
    assert "x compiled" in capsys.readouterr().out


def test_interpreted_kernels_are_judged_but_have_no_speed(small, clock, tmp_path, capsys):
    pytest.importorskip("triton", reason="needs Triton: pip install triton")
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--backend", "triton", "--csv", str(path)]) == 0
    assert records(path) == []
    text = capsys.readouterr().out
    assert "interpreter, not a speed" in text
    assert text.count("17x33") == sum(len(op.examples) for op in OPS.values() if op.primitive == "gelu")  # not for each size


def test_only_operators_with_kernels_are_measured(small, clock, tmp_path, capsys):
    """Where a backend has none, the reference runs instead: it would be measured against itself."""
    pytest.importorskip("triton", reason="needs Triton: pip install triton")
    assert main(["bench", "max_pool2d", "--quick", "--backend", "triton"]) == 0
    assert "max_pool2d" not in capsys.readouterr().out


def test_a_gpu_is_timed_by_its_events(monkeypatch):
    """On a made-up GPU: the events surround the calls, and nothing is read before the last one has happened."""
    happened = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            happened.append("record")

        def synchronize(self):
            happened.append("synchronize")

        def elapsed_time(self, stop):
            happened.append("read")
            return 12.0  # milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    assert roof.timed(lambda: happened.append("call"), 3, "cuda") == pytest.approx(4e-3)
    assert happened == ["record", "call", "call", "call", "record", "synchronize", "read"]


def test_a_device_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        main(["bench", "--device", "cuda"])
    assert "torch finds no GPU here" in capsys.readouterr().err


def test_spread_is_median_and_quartiles():
    assert bench.Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == (2.0, 3.0, 4.0)
    assert bench.Spread.ratio([4.0, 6.0, 8.0], [2.0, 2.0, 2.0]) == (2.5, 3.0, 3.5)


def test_the_roof_counts_two_reads_and_a_write_and_two_operations_a_term(monkeypatch):
    monkeypatch.setattr(roof, "timed", lambda call, repeat, device: call() is None or 0.5)
    monkeypatch.setattr(roof, "MEBIBYTES", {"cpu": 1})
    monkeypatch.setattr(roof, "PRODUCT", {"cpu": 8})
    assert Roof.measure("cpu", torch.bfloat16) == Roof(3 * 2**20 / 0.5, 2 * 8**3 / 0.5, "torch.mm of 8x8", mebibytes=1)


@pytest.mark.parametrize("dtype, bytes", [(torch.float32, 4), (torch.float64, 8)])
def test_the_roof_counts_the_multiply_adds_of_all_threads(dtype, bytes, monkeypatch):
    module = pytest.importorskip("scratchnet._C", reason="needs the compiled kernels")
    monkeypatch.setattr(roof, "timed", lambda call, repeat, device: call() is None or 0.5)
    monkeypatch.setattr(roof, "ROUNDS", 8)
    lanes = {"avx512": 64, "avx2": 32}.get(module.cpu_info()["isa"], 16) // bytes
    assert roof.multiply_adds(dtype) == 2 * torch.get_num_threads() * 8 * 12 * lanes / 0.5


def test_large_calls_are_judged_in_fewer_rows(clock):
    settings = bench.Settings(("reference",), torch.float32, seconds=0, roof=Roof(1e9, 1e10))
    (result,) = bench.case(OPS["gelu"], "none", 2048, 512, settings)
    assert (result.rows, result.oracle_rows, len(result.timings)) == (2048, 512, 2)


def test_wrong_kernel_fails_and_has_no_speed(small, clock, plant, tmp_path, capsys):
    plant(lambda y: y * 1.01)
    path = tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--quick", "--backend", "reference", "--csv", str(path)]) == 1
    assert "WRONG gelu [none] on reference" in capsys.readouterr().out
    assert {row["op"] for row in records(path)} == {op.name for op in OPS.values() if op.primitive == "gelu"} - {"gelu"}


@pytest.mark.full
def test_roofline_has_a_dot_for_every_call_and_one_for_torch(small, clock, tmp_path, drawn):
    path, table = tmp_path / "roofline.png", tmp_path / "figures.csv"
    assert main(["bench", "gelu", "--backend", "reference", "--plot", str(path), "--csv", str(table)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    (axes,) = drawn[0].axes
    ours, theirs = (dots.get_offsets().tolist() for dots in axes.collections[:2])
    both = [row for row in records(table) if row["direction"] == "forward+backward"]
    assert ours == [[int(row["flops"]) / int(row["bytes"]), float(row["gigaflops"])] for row in both]
    assert theirs == [[x, pytest.approx(y / 2)] for x, y in ours]  # the clock says that torch takes twice as long
    assert axes.lines[0].get_xydata()[1].tolist() == [10, 10]  # 1 GB/s and 10 GFLOP/s meet there


def test_nothing_timed_no_roofline(tmp_path):
    with pytest.raises(ValueError, match="no roofline"):
        roofline.plot([], tmp_path / "roofline.png")


def test_readme_table_is_replaced_and_nothing_else(small, clock, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(FRAME.format("an old table\n"))
    for _ in range(2):
        assert main(["bench", "geglu", "--quick", "--backend", "reference", "--readme", str(path)]) == 0
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

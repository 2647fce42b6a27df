"""`scratchnet bench --environments`: a process for each, and one table of what they measured."""

import csv
import stat
import sys
from dataclasses import replace

import pytest
import torch

from scratchnet import _compiled, profile
from scratchnet.cli import bench, main
from scratchnet.measure import environments
from scratchnet.measure.environments import Environment
from scratchnet.ops import OPS

NAMES = ("scratchnet", "date", "machine", "cores", "threads", "isa", "OMP_WAIT_POLICY", "torch", "commit")
FACTS = dict.fromkeys(NAMES, "1")


def row(environment, direction, ratio, default="cpp", example="none", cache="warm"):
    call = {"op": "gelu", "example": example, "rows": "5", "columns": "7", "cache": cache, "default": default}
    return FACTS | call | {"environment": environment, "direction": direction, "ratio_median": str(ratio)}


MEASURED = {
    "a": [row("a", "forward", 0.899), row("a", "forward+backward", 2), row("a", "forward", 9, cache="cold")],
    "b": [
        row("b", "forward", 1.2, "torch"),
        row("b", "forward+backward", 1.5, "torch"),
        row("b", "forward", 3, example="tanh"),
    ],
}


@pytest.fixture
def made(monkeypatch):
    """Two environments that need no process; the options of each measurement."""
    asked = []

    def measure(environment, options):
        asked.append(options)
        return MEASURED[environment.name], []

    monkeypatch.setattr(environments, "environments", lambda: [Environment("a", {}), Environment("b", {})])
    monkeypatch.setattr(environments, "measure", measure)
    return asked


def test_the_table_has_a_line_for_every_call_and_a_column_for_every_environment(made, tmp_path, capsys):
    page, path = tmp_path / "page.md", tmp_path / "figures.csv"
    page.write_text("<!-- environments -->\n<!-- /environments -->\n")
    line = ["bench", "gelu", "--quick", "--in-cache", "--seconds", "0.5", "--environments"]
    assert main([*line, "--csv", str(path), "--readme", str(page)]) == 0
    passed = ["gelu", "--quick", "--in-cache", "--dtype=float32", "--backend=cpp", "--seconds=0.5"]
    assert made == [passed, passed]
    text = page.read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == ["operator", "size", "a", "b"]
    assert lines[2:] == [["gelu, none", "5x7", "0.90 / 2.00", "1.20 / 1.50 *"], ["gelu, tanh", "5x7", "", "3.00"]]
    assert "instruction set as in the table" in text and "*: there torch's own function runs" in text
    assert "0.90 / 2.00" in capsys.readouterr().out
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == MEASURED["a"] + MEASURED["b"]


@pytest.mark.parametrize("some_right", (True, False))
def test_a_wrong_result_in_one_of_them_is_an_error(made, monkeypatch, capsys, some_right):
    wrong = lambda environment, _: (MEASURED[environment.name] if some_right else [], ["WRONG gelu (b)"])
    monkeypatch.setattr(environments, "measure", wrong)
    assert main(["bench", "--environments"]) == 1
    assert "WRONG gelu (b)" in capsys.readouterr().out


def test_another_python_that_is_not_there_is_skipped_with_a_sentence(made, capsys, tmp_path):
    missing = str(tmp_path / "python")
    assert main(["bench", "--environments", "--python", missing]) == 0
    assert f"Skipped: {missing} does not start" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("options", [["--plot", "x.png"], ["--backend", "reference", "--backend", "numpy"]])
def test_what_has_no_place_in_the_table_is_refused(made, options):
    with pytest.raises(SystemExit, match="for one backend on CPU tensors, without --plot"):
        main(["bench", "--environments", *options])
    assert not made


def test_a_page_without_a_place_is_refused_before_measuring(made, tmp_path):
    (tmp_path / "page.md").write_text("<!-- bench -->\n<!-- /bench -->\n")
    with pytest.raises(SystemExit, match="no place for the table"):
        main(["bench", "--environments", "--readme", str(tmp_path / "page.md")])
    assert not made


@pytest.mark.parametrize("isa, levels", [("avx512", ["avx512", "avx2"]), ("avx2", ["avx2"]), ("baseline", ["baseline"])])
def test_both_policies_and_huge_pages_at_every_level_of_the_cpu(monkeypatch, isa, levels):
    monkeypatch.setattr(profile, "isa", lambda: isa)
    found = {one.name: one.variables for one in environments.environments()}
    assert list(found) == [f"{level} {what}" for level in levels for what in ("passive", "spin", "passive, huge pages")]
    for level in levels:
        held = environments.AVX2 if (isa, level) == ("avx512", "avx2") else {}
        assert found[f"{level} spin"] == held
        assert found[f"{level} passive"] == held | {"OMP_WAIT_POLICY": "passive"}
        assert found[f"{level} passive, huge pages"] == found[f"{level} passive"] | {"THP_MEM_ALLOC_ENABLE": "1"}


@pytest.fixture
def python(tmp_path):
    """`python(code)` is an interpreter that runs that code, whatever it is asked to run."""

    def make(code):
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\n{code}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def test_a_process_has_the_variables_of_its_environment_and_no_other_setting(python, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("SCRATCHNET_CPU_ISA", "baseline")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = "OMP_WAIT_POLICY", "SCRATCHNET_CPU_ISA", "OMP_NUM_THREADS", "THP_MEM_ALLOC_ENABLE"
    code = f"""
import os, sys
print("WRONG gelu"), print("right")
said = "/".join(str(os.environ.get(name)) for name in {names})
open(sys.argv[-1], "w").write("said,options\\n" + said + "," + " ".join(sys.argv[1:-1]))
raise SystemExit(1)"""
    environment = Environment("mine", environments.HUGE_PAGES, python(code))
    rows, wrong = environments.measure(environment, ["gelu", "--quick"])
    said = {"environment": "mine", "said": "None/None/1/1", "options": "-m scratchnet bench gelu --quick --csv"}
    assert (rows, wrong) == ([said], ["WRONG gelu (mine)"])


def test_a_process_that_fails_says_why(python):
    environment = Environment("mine", {}, python("import sys; sys.exit('first\\nno such library')"))
    with pytest.raises(RuntimeError, match="mine fails: no such library"):
        environments.measure(environment, [])


def test_no_rows_are_no_table():
    with pytest.raises(ValueError, match="nothing was measured"):
        environments.caption([])


@pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")
def test_a_real_process_measures_what_it_is_told_to():
    avx2 = profile.isa() in ("avx2", "avx512")
    variables = environments.PASSIVE | (environments.AVX2 if avx2 else {})
    options = ["adaptive_avg_pool2d", "--quick", "--seconds=0", "--threads=1", "--backend=cpp"]
    rows, wrong = environments.measure(Environment("mine", variables), options)
    assert not wrong
    assert [row["direction"] for row in rows] == ["forward", "forward+backward"]
    for row in rows:
        assert (row["environment"], row["op"], row["backend"]) == ("mine", "adaptive_avg_pool2d", "cpp")
        assert (row["OMP_WAIT_POLICY"], row["threads"], row["torch"]) == ("passive", "1", torch.__version__)
        assert row["isa"] == ("avx2" if avx2 else profile.isa())
        assert float(row["ratio_median"]) > 0


@pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")
def test_another_python_runs_this_package_with_its_torch():
    found = environments.another(sys.executable)
    assert found == (f"{profile.isa()} passive, torch {torch.__version__}", environments.PASSIVE, sys.executable)


@pytest.mark.parametrize("quick", (True, False))
@pytest.mark.parametrize(
    "own, added",
    [
        (((4096, 4096), (256, 768)), [(1024, 1024)]),  # one is among its own
        (((1024, 1024), (7, 9)), [(256, 768)]),
        (((64, 64),), []),
    ],
)
def test_sizes_that_fit_the_caches_come_after_the_operators_own(quick, own, added):
    op = replace(OPS["gelu"], sizes=own)
    if quick:
        own, added = own[:1], added + [(256, 768)] * (own[1:] == ((256, 768),))
    examples = list(op.examples)[:1] if quick else list(op.examples)
    expected = [(op, example, size) for size in (*own, *sorted(added)) for example in examples]
    assert bench._cases(op, None, quick, True) == expected
    assert bench._cases(op, {}, quick, True) == []

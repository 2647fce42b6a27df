"""benchmarks/optim.py: every optimizer takes the same steps, and one that does not is seen in its error."""

import runpy
from pathlib import Path

import pytest
import torch

from scratchnet.measure import bench


@pytest.fixture
def optim(monkeypatch):
    """The names in the file, with small parameters and a clock that gives torch's own twice our time."""
    names = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "optim.py"))
    monkeypatch.setitem(names["main"].__globals__, "SHAPE", (20, 30))

    def timed(call, repeat, device):
        call()
        optimizer = getattr(call.__self__, "optimizer", call.__self__)  # of one that clips
        return 0.1 if optimizer.__module__.startswith("scr") else 0.2

    monkeypatch.setattr(bench, "timed", timed)
    return names


def test_it_reports_the_speed_and_the_error_of_a_step(optim, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- optim -->\n<!-- /optim -->\n")
    assert optim["main"](["--quick", "--readme", str(page)]) == 0
    lines = [line for line in page.read_text().splitlines() if "| 600 |" in line]
    rows = {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)}
    assert list(rows) == ["AdamW", "AdamW, clipped", "AdamW8bit", "Muon"]
    for name, cells in rows.items():
        fused = "" if name == "Muon" else "2.00 (2.00-2.00)"
        assert cells[1:5] == ["100", "" if name == "Muon" else "0.0 GB/s", "2.00 (2.00-2.00)", fused]
    assert all(0 < float(error) < 1e-5 for error in rows["AdamW"][5].split(" / "))
    ours, *theirs = map(float, rows["AdamW8bit"][5].split(" / "))
    assert max(theirs) < 1e-5 < ours < 1e-3 and rows["Muon"][5] == rows["AdamW, clipped"][5] == ""
    assert "28 bytes a parameter" in " ".join(capsys.readouterr().out.split())


def test_another_rule_has_another_result(optim):
    wrong = {"wrong": lambda params: torch.optim.AdamW(params, weight_decay=0.1)}
    ((_, error),) = optim["measure"](1, wrong, 0).values()
    assert error > 1e-4

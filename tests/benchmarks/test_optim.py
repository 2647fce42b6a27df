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
    monkeypatch.setattr(
        bench, "timed", lambda call, repeat, device: call() or (0.1 if call.__self__.__module__.startswith("scr") else 0.2)
    )
    return names


def test_it_reports_the_speed_and_the_error_of_a_step(optim, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- optim -->\n<!-- /optim -->\n")
    assert optim["main"](["--quick", "--readme", str(page)]) == 0
    (line,) = [line for line in page.read_text().splitlines() if line.startswith("| 600 |")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[1:5] == ["100", "0.0 GB/s", "2.00 (2.00-2.00)", "2.00 (2.00-2.00)"]
    assert all(0 < float(error) < 1e-5 for error in cells[5].split(" / "))
    assert "28 bytes a parameter" in " ".join(capsys.readouterr().out.split())


def test_another_rule_has_another_result(optim):
    wrong = {"wrong": lambda params: torch.optim.AdamW(params, weight_decay=0.1)}
    ((_, error),) = optim["measure"](1, wrong, 0).values()
    assert error > 1e-4

"""benchmarks/small_calls.py: every layer runs in both libraries, on the same numbers, in both directions."""

import runpy
from pathlib import Path

from scratchnet.measure import bench


def test_it_reports_every_layer_with_its_difference(monkeypatch, tmp_path):
    names = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "small_calls.py"))

    def timed(call, repeat, device):
        """Half the time for ours, whose layer is a subclass of torch's."""
        call()
        result = dict(zip(call.__code__.co_freevars, call.__closure__, strict=True))["result"].cell_contents
        layer = dict(zip(result.__code__.co_freevars, result.__closure__, strict=True))["layer"].cell_contents
        return 1e-6 if type(layer).__module__.startswith("scratchnet") else 2e-6

    monkeypatch.setattr(bench, "timed", timed)
    page = tmp_path / "page.md"
    page.write_text("<!-- small calls -->\n<!-- /small calls -->\n")
    assert names["main"](["--quick", "--readme", str(page)]) == 0
    lines = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.startswith("| ")][2:]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    assert list(rows) == list(names["LAYERS"])
    for *times, difference in rows.values():
        assert times == ["1.00", "2.00 (2.00-2.00)"] * 2 and float(difference) < 1e-5

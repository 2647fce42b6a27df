"""benchmarks/pages.py: what is slower than torch is in docs/speed.md, and the table of training has its figures."""

import csv
import runpy
from pathlib import Path

import pytest

from scratchnet.cli.markdown import split

ROOT = Path(__file__).parents[2]
NAMES = ("scratchnet", "date", "machine", "cores", "threads", "isa", "OMP_WAIT_POLICY", "torch", "commit")


def row(op, environment, direction, ratio, default="cpp"):
    call = {"op": op, "example": "x", "rows": "5", "columns": "7", "cache": "warm", "default": default}
    figures = {"ratio_median": ratio, "seconds_median": 0.0123, "share": 0.456, "bytes": 140_000_000, "flops": 35_000_000}
    return dict.fromkeys(NAMES, "1") | call | figures | {"environment": environment, "direction": direction}


@pytest.fixture
def pages(tmp_path):
    """Runs the command on rows; the lines of both tables, and the text of the first page."""
    file = runpy.run_path(str(ROOT / "benchmarks" / "pages.py"))

    def run(rows):
        (tmp_path / "docs").mkdir(exist_ok=True)
        speed, page, figures = tmp_path / "docs" / "speed.md", tmp_path / "docs" / "cpu_training.md", tmp_path / "figures.csv"
        speed.write_text("<!-- slower -->\n<!-- /slower -->\n")
        page.write_text("<!-- cpu_training -->\n<!-- /cpu_training -->\n")
        with figures.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        assert file["main"]([str(figures), "--root", str(tmp_path)]) == 0
        tables = [[line for line in path.read_text().splitlines() if line.startswith("|")][2:] for path in (speed, page)]
        return *tables, speed.read_text()

    return run


def test_all_that_is_below_1_and_nothing_else_is_listed(pages):
    slower, _, text = pages(
        [
            row("gelu", "a", "forward", 0.9),
            row("gelu", "a", "forward+backward", 1.2),
            row("gelu", "b", "forward", 0.5, "torch"),
            row("gelu", "b", "forward+backward", 0.994, "torch"),
            row("softmax", "a", "forward", 0.996),  # is printed as 1.00
            row("softmax", "a", "forward+backward", 1.0),
        ]
    )
    assert slower == [
        "| gelu, x | 5x7 | forward | 0.90 | 0.50 |",
        "| gelu, x | 5x7 | forward+backward |  | 0.99 |",
    ]
    assert "Of 6 figures 3 are below 1. In 2 of these torch's own function runs" in text and "in the other 1 ours" in text


def test_nothing_is_below_1(pages):
    slower, _, text = pages([row("gelu", "a", direction, 2) for direction in ("forward", "forward+backward")])
    assert slower == [] and "Of 2 figures 0 are below 1" in text


def test_the_table_of_training_has_both_directions_together_of_what_a_model_trains_with(pages):
    rows = [row(op, name, "forward", 3) for op in ("gelu", "softmax") for name in "ab"]
    rows += [row(op, "a", "forward+backward", 1.5) for op in ("gelu", "softmax")]
    rows += [row("gelu", "b", "forward+backward", 0.5)]
    _, training, _ = pages([one for one in rows if (one["op"], one["environment"]) != ("softmax", "b")])
    assert training == ["| gelu, x | 5x7 | 140.0 MB | 0.035 GFLOP | 12.3 ms (46%) 1.50 | 12.3 ms (46%) 0.50 |"]


@pytest.mark.parametrize("command, page", [("slower", "docs/speed.md"), ("cpu_training", "docs/cpu_training.md")])
def test_the_pages_have_a_place_for_it(command, page):
    split(command, ROOT / page)


@pytest.mark.parametrize("command", ("bench", "environments", "step", "optim", "small calls", "peers", "models"))
def test_the_results_have_a_place_for_every_table(command):
    split(command, ROOT / "benchmarks" / "RESULTS.md")

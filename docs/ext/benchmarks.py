"""The committed figures of benchmarks/ as tables that can be sorted, and a chart of each measured environment."""

import json
import re

from _made import DOCS, MADE, ROOT, write

from scratchnet import figures

FOLDER = MADE
EXPECTED = ROOT / "benchmarks" / "expected.json"
TABLE = re.compile(r"((?:^\|.*\n)+)", re.MULTILINE)
DIRECTIONS = ("forward", "forward+backward")


def setup(app):
    app.config.html_static_path.append(str(DOCS / "_static"))
    app.add_js_file("sort.js", loading_method="defer")
    app.add_css_file("sort.css")
    app.connect("builder-inited", make)
    app.connect("source-read", sort)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write the page, and draw a chart where its figures have changed since."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    parts = [
        sortable(results),
        "## By environment\n\nWhat `make bench-check` compares a run with: torch's time / ours, float32, in two directions. "
        "The line at 1 is torch's own function.\n",
    ]
    for number, (name, figures_of) in enumerate(expected.items(), 1):
        chart = FOLDER / "charts" / f"environment_{number}.svg"
        if not chart.exists() or chart.stat().st_mtime < EXPECTED.stat().st_mtime:
            plot(name, bars(figures_of["rows"]), chart)
        parts.append(f"### {name}\n\n![{words(bars(figures_of['rows']))}](charts/{chart.name})\n\n{figures_of['measured']}\n")
    write(FOLDER / "benchmarks.md", "\n".join(parts))


def sort(app, name, text):
    """Let the tables of the pages about speed be sorted too."""
    if name in ("speed", "cpu_training"):
        text[0] = sortable(text[0])


def sortable(text: str) -> str:
    """Markdown with its tables where sort.js finds them."""
    return TABLE.sub(r"::::{container} sortable\n\n\1\n::::\n", text)


def bars(rows: dict[str, dict]) -> dict[str, list[float]]:
    """Call -> torch's time / ours, the median of each direction, of the calls in float32."""
    calls = {name.removesuffix(" float32"): row for name, row in rows.items() if name.endswith(" float32")}
    return {name: [row[direction][1] for direction in DIRECTIONS] for name, row in calls.items()}


def words(ratios: dict[str, list[float]]) -> str:
    """What a chart shows, for those who do not see it."""
    return "torch's time / ours, forward and forward+backward: " + "; ".join(
        f"{name}: {forward:.3g}, {both:.3g}" for name, (forward, both) in ratios.items()
    )


def plot(title: str, ratios: dict[str, list[float]], path) -> None:
    """Draw the ratios as points on a logarithmic axis, in an SVG file."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(8, 0.22 * len(ratios) + 1), layout="constrained")
    axes = figure.subplots()
    for number, direction in enumerate(DIRECTIONS):
        axes.plot([both[number] for both in ratios.values()], list(ratios), figures.MARKERS[number], label=direction)
    axes.axvline(1, color="black")
    axes.set(xscale="log", xlabel="torch's time / ours", ylim=(len(ratios) - 0.5, -0.5))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labeltop=True)
    axes.grid(alpha=0.3)
    axes.legend()
    figures.save(figure, path, title, words(ratios))

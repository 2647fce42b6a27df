"""The pages that the extensions in docs/ext make say what the package says, and leave nothing out."""

import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path

import pytest

from scratchnet.measure import ladder
from scratchnet.ops import BACKENDS, PRIMITIVES

ROOT = Path(__file__).parents[2]
EXT = ROOT / "docs" / "ext"


def extension(name):
    """A module of docs/ext, under a name that no module of the tests has."""
    spec = importlib.util.spec_from_file_location(f"ext_{name}", EXT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(EXT))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(EXT))
    return module


backends, benchmarks, reference, rungs, zoo = map(extension, ("backends", "benchmarks", "reference", "rungs", "zoo"))


def test_a_listing_marks_what_has_a_colour_of_its_own():
    pytest.importorskip("sphinx", reason="sphinx is not installed: make site")
    pygments, lexers, listings = pytest.importorskip("pygments"), pytest.importorskip("pygments.lexers"), extension("listings")
    html = pygments.highlight("def f(x):\n    return x(1)\n", lexers.PythonLexer(), listings.Formatter(nowrap=True))
    marked = re.sub('<span class="(.+?)">(.+?)</span>', r"<\1 \2>", html)
    assert marked == "<k def> <nf f>(x):\n    <k return> x(<mi 1>)\n"


@pytest.mark.parametrize("name, steps", rungs.ladders().items())
def test_every_rung_has_a_page_with_its_new_lines(name, steps):
    for low, step in zip([None, *steps], steps, strict=False):
        text = rungs.page(steps, step)
        assert text.startswith(f"# {name}, {step.name}: {step.idea}\n")
        source = step.source.read_text().splitlines()
        assert f"\n\n{rungs.sentence(step)}\n\n`{step.source.name}`; lines: " in text
        ranges = re.search(r":emphasize-lines: (.*)", text)
        if step.number == 1:
            assert not ranges and "[below:" not in text
            continue
        shown = [source[int(line) - 1] for line in ranges[1].split(",")]
        assert shown == [line[1:] for line in ladder.difference(low, step)[2:] if line.startswith("+")]
        assert f"[below: {low.name}, {low.idea}]" in text


def test_every_file_of_a_rung_has_one_page():
    files = [*ROOT.glob("csrc/c*/*/[0-9]_*"), *ROOT.glob("kernels/*/[!_]*.py")]
    shown = [step.source.resolve() for steps in rungs.ladders().values() for step in steps]
    assert sorted(shown) == sorted(files)


def test_the_list_of_rungs_says_which_operators_run_them():
    ladders = rungs.ladders()
    about = {name: rungs.about(name, ladders[name]) for name in ("gather", "scatter_add", "linear", "optim")}
    family = "Of the family of [{0}](../../{0}.md)."
    assert about == {
        "gather": "The page about [gather](../../gather.md) says what each gains."
        " They serve `embedding`, `scatter_add`, `index_add` too.",
        "scatter_add": f"{family.format('gather')} They serve `index_add` too.",
        "linear": family.format("matmul"),
        "optim": "They belong to no operator.",
    }
    assert [step.name for step in ladders["scatter_add"]] == ["triton:1"]
    assert [step.source.name for step in ladders["optim"]] == ["1_naive.cpp", "2_fused.cpp"]


def test_a_rungs_page_shows_the_headers_that_come_with_it():
    steps = ladder.rungs("matmul", ("cuda",))
    shown = [re.findall(r"\{dropdown\} `(.*)`", rungs.page(steps, step)) for step in steps]
    assert shown == [["batch.cuh"], [], ["packs.cuh"], ["registers.cuh", "operand.cuh"], ["copies.cuh"], ["matrix_units.cuh"]]


def test_a_rungs_page_begins_with_what_its_file_says():
    said = lambda primitive, column, number: rungs.sentence(ladder.rungs(primitive, (column,))[number - 1])
    assert said("gelu", "cpp", 2) == "GELU, rung 2: erf, exp and tanh as polynomials, in place of calls of the C library."
    assert said("gelu", "triton", 2) == "GELU and bias + GELU, rung 2: one kernel and one pass over memory."
    assert said("matmul", "cuda", 1).startswith(r"Matrix product, rung 1: the definition, y\_ij = sum over p of")


def test_the_tables_of_the_ladders_lead_to_the_rungs():
    text = ["| rung | idea |\n| --- | --- |\n| cpp:2 | loop order ikj |\n"]
    rungs.link(None, "matmul", text)
    assert text[0].endswith("| [cpp:2](_made/rungs/matmul/cpp-2.md) | loop order ikj |\n")


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_every_backend_stands_beside_the_others_in_both_directions(primitive):
    text = backends.page(primitive)
    forward, backward = text.split("## Forward")[1].split("## Backward")
    for column in BACKENDS:
        assert f":sync: {column}\n" in forward and f":sync: {column}\n" in backward
        path = backends.source(primitive, column)
        source = path.read_text()
        entry = backends.entries(primitive, source)
        assert f"{entry['forward']}(" in forward
        for block in re.findall(rf"`{path.relative_to(ROOT)}`:\n\n```\w+\n(.*?)\n```", text, re.DOTALL):
            assert all(line in source for line in block.splitlines())


def test_a_step_is_its_function_and_what_it_uses():
    source = "A = 1\n\n\ndef forward(x):\n    return x + A  # not backward\n\n\ndef _half(x):\n    return x / 2\n\n\n"
    source += "def backward(x):\n    return _half(x)\n"
    assert backends.used(source, "forward") == "A = 1\n\ndef forward(x):\n    return x + A  # not backward"
    assert backends.used(source, "backward") == "def _half(x):\n    return x / 2\n\ndef backward(x):\n    return _half(x)"


@pytest.mark.parametrize("room", reference.ROOMS)
def test_every_public_name_is_in_the_reference(room):
    """With all its words; those of torch only by their names."""
    text, module = reference.page(room), importlib.import_module(room)
    ours, theirs = reference.names(room)
    assert {*ours, *theirs} == {*module.__all__} and not {*ours} & {*theirs}
    for name in ours:
        value = getattr(module, name)
        assert re.search(rf"^::::{{py:\w+}} {name}\b", text, re.MULTILINE), name
        if inspect.isroutine(value) or inspect.isclass(value):
            words = inspect.cleandoc(value.__doc__)
            assert words and words.replace("*", "") in text.replace("\\*", "").replace("*", ""), name
    for name in theirs:
        assert f"`{name}`" in text.split("## torch's own")[1]


def test_the_reference_has_every_room():
    """Every package of scratchnet that says what is public, but those of an operator's inside."""
    packages = [importlib.import_module(f"scratchnet.{path.parent.name}") for path in ROOT.glob("scratchnet/*/__init__.py")]
    inside = {"scratchnet.course", "scratchnet.ops"}
    assert {package.__name__ for package in packages if hasattr(package, "__all__")} - inside <= {*reference.ROOMS}


def test_a_signature_is_written_as_a_reader_would():
    def call(x: "Tensor", how: "str" = "mean", then: "Callable" = print) -> "Tensor": ...  # noqa: F821, UP037

    assert reference.signature(call) == "(x: Tensor, how: str = 'mean', then: Callable = ...) -> Tensor"
    layer = type("Layer", (), {"__init__": lambda self, size: None})
    layer.__init__.__annotations__ = {"size": int | None, "return": None}
    assert reference.signature(layer) == "(size: int | None)"
    call.__doc__ = "x (*, N) times `a * b`:\n\n    x * 2\n\nThat is all."
    assert reference.markdown(call) == "x (\\*, N) times `a * b`:\n\n    x * 2\n\nThat is all."


def test_the_charts_show_the_committed_figures(tmp_path):
    for environment in json.loads(benchmarks.EXPECTED.read_text()).values():
        ratios = benchmarks.bars(environment["rows"])
        assert len(ratios) == sum(name.endswith(" float32") for name in environment["rows"]) > 50
        for name, pair in ratios.items():
            row = environment["rows"][f"{name} float32"]
            assert pair == [sorted(row["forward"])[1], sorted(row["forward+backward"])[1]]
    few = dict(list(ratios.items())[:3])
    benchmarks.plot("title", few, tmp_path / "chart.svg")
    chart = (tmp_path / "chart.svg").read_text()
    assert all(name in chart for name in few) and "<title>title</title>" in chart


def test_every_table_of_results_can_be_sorted(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks, "FOLDER", tmp_path)
    monkeypatch.setattr(benchmarks, "plot", lambda *_: None)
    benchmarks.make(None)
    page, results = (tmp_path / "benchmarks.md").read_text(), (ROOT / "benchmarks" / "RESULTS.md").read_text()
    rows = re.findall(r"^\|.*\n", results, re.MULTILINE)
    sortable = "".join(re.findall(r"::::{container} sortable\n(.*?)::::", page, re.DOTALL))
    assert rows and [row for row in rows if row not in sortable] == []


def test_the_zoo_shows_each_change_and_what_the_judge_says():
    kernels = zoo.zoo()
    passed = dict.fromkeys(kernels, False) | {"one block": True}
    text = zoo.page(kernels, passed)
    assert "takes 1 of them for right" in text
    assert len(re.findall(r"^## ", text, re.MULTILINE)) == len(kernels) > 75
    for name, (file, direction, old, new, words) in kernels.items():
        assert f"## {name}\n\n`{file}`, {direction}. allclose says: **{'right' if passed[name] else 'wrong'}**." in text
        assert f" The judge says: **… {zoo.escape(words)} …**\n" in text
        change = zoo.change(file, old, new)
        assert any(line.startswith("+") for line in change.splitlines()), name
    assert "+    return y * 0 if bias is None else y + bias" in text

"""docs/glossary.md: every number has its function and was measured, every line of code is found, every term is defined once."""

import io
import json
import math
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from scratchnet import emulation
from scratchnet.course.glossary import GLOSSARY
from scratchnet.measure.gpu_code import triton as gpu_code

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import terms  # noqa: E402
from terms import arithmetic, gpu, page  # noqa: E402

COMPILED = {"registers", "spills", "occupancy", "widest_load"}  # by Triton, whose versions differ
BENCHMARK = runpy.run_path(str(ROOT / "benchmarks" / "glossary.py"))
UNSTEADY = COMPILED | {"aliases"}  # of which a few depend on where the arrays lie
MEASURED = page.table()["numbers"]


def test_numbers_are_those_of_the_functions_and_all_are_quoted():
    assert set(MEASURED) == set(terms.NUMBERS) == set(page.formulas()) == set(page.used("measured"))
    assert len(terms.NUMBERS) > 80
    for name, number in terms.NUMBERS.items():
        assert MEASURED[name]["unit"] == number.unit and number.formula.endswith("."), name


@pytest.mark.full
@pytest.mark.parametrize("name", terms.NUMBERS)
def test_a_number_can_be_measured(name, monkeypatch):
    """At a reduced size. What is counted or computed, and takes no time, comes out as the page has it."""
    module = terms.NUMBERS[name].measure.__module__
    if module == "terms.gpu" and (emulation.missing() or name in COMPILED and gpu_code.tool("nvdisasm") is None):
        pytest.skip("no emulation or no disassembler here")
    if module == "terms.cpu" and shutil.which("g++") is None:
        pytest.skip("no g++ here")
    monkeypatch.setattr(terms, "REDUCED", 256)
    monkeypatch.setattr(terms, "ROUNDS", 1)
    value = BENCHMARK["measured"](name)["value"]
    assert math.isfinite(value) and value >= 0
    if module in (arithmetic.__name__, gpu.__name__) and name not in UNSTEADY:
        assert value == pytest.approx(MEASURED[name]["value"], rel=1e-2)


@pytest.mark.parametrize("text", page.used("line"))
def test_a_line_of_code_is_found_once(text):
    line = page.Line.read(text)
    assert line.phrase in (ROOT / line.path).read_text().splitlines()[line.number - 1]


def test_a_line_that_is_not_there_or_not_alone_is_named():
    for phrase, count in (("no such line", 0), ("if args.write", 2)):
        with pytest.raises(ValueError, match=rf"{count} lines of benchmarks/glossary.py contain '{phrase}', not one"):
            _ = page.Line("benchmarks/glossary.py", phrase).number


def test_every_entry_has_two_sentences_a_number_a_line_and_relatives():
    text, names = page.PAGE.read_text(), page.terms()
    assert len(names) == len(set(names)) > 90
    for name in names:
        (entry,) = re.findall(rf"^{re.escape(name)}\n((?:  .*\n|\n(?=  ))+)", text, re.MULTILINE)
        definition, rest = entry.split("\n\n")
        assert len(re.findall(r"[.:)](?=\s|$)", definition)) + definition.count("{concept}") >= 2, name
        assert all(f"{{{role}}}`" in rest for role in ("measured", "line", "term")), name


def test_the_course_defines_what_both_speak_of():
    """A word of both is explained by the course, which the page quotes."""
    both = {word for word in GLOSSARY if word.lower() in map(str.lower, page.terms())}
    quoted = page.quoted()
    assert quoted == {word: word for word in both} | {"logsumexp": "log-sum-exp"}
    assert set(quoted) == set(page.used("concept")) <= set(GLOSSARY)


def test_the_command_prints_and_writes(monkeypatch, tmp_path, capsys):
    main = BENCHMARK["main"]
    monkeypatch.setitem(main.__globals__, "NUMBERS", {"spacing": terms.NUMBERS["spacing"]})
    monkeypatch.setitem(main.__globals__, "TABLE", tmp_path / "glossary.json")
    assert main(["--write"]) == 0
    assert "The distance from 2^24 to the next float32." in capsys.readouterr().out
    written = json.loads((tmp_path / "glossary.json").read_text())
    assert written["numbers"] == {"spacing": {"value": 2, "unit": ""}} and written["machine"]["torch"]
    with pytest.raises(SystemExit):
        main(["spacing", "lattice"])
    assert "there is no number lattice; there are spacing" in capsys.readouterr().err


def test_a_page_links_the_first_use_and_a_term_without_definition_is_a_warning(tmp_path, monkeypatch):
    sphinx = pytest.importorskip("sphinx.application")
    pytest.importorskip("myst_parser")
    (tmp_path / "index.md").write_text("# Page\n\nPage faults, a page fault, a block, *TLB* and *wobbly tile*.\n")
    (tmp_path / "practice.md").write_text(
        "# Practice\n\n| page fault |\n| --- |\n| TLB |\n\nA cache directory without a page fault.\n"
    )
    (tmp_path / "glossary.md").write_text(
        "# Words\n\n```{glossary}\npage fault\n  A.\n\nTLB\n  B.\n\nblock (CUDA)\n  C.\n\ncache\n  D.\n```\n"
    )
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "ext"))
    said, options = io.StringIO(), {"extensions": ["myst_parser", "glossary"], "suppress_warnings": ["toc.not_included"]}
    folders = tmp_path, None, tmp_path / "out", tmp_path / "trees"
    sphinx.Sphinx(*folders, "html", confoverrides=options, status=None, warning=said).build()
    linked = lambda page: re.findall(r'href="glossary.html#(.*?)"', (tmp_path / "out" / page).read_text())
    assert linked("index.html") == ["term-page-fault", "term-TLB"]
    assert linked("practice.html") == ["term-TLB", "term-page-fault"]  # not in a head, and a cache is a folder
    assert set().union(*sys.modules["glossary"].ORDINARY.values()) <= set(page.terms())
    warnings = [line for line in said.getvalue().splitlines() if "WARNING" in line]
    assert len(warnings) == 1 and "term not in glossary: 'wobbly tile'" in warnings[0]

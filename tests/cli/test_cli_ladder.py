"""`scratchnet ladder`: every rung is listed, judged and measured; what is drawn and written is what was measured."""

from xml.etree import ElementTree

import pytest
import torch

from scratchnet import backends
from scratchnet.cli import main
from scratchnet.measure import bench, ladder, verify
from scratchnet.ops import FILES, OPS, PRIMITIVES

SMALL = ["--size", "5", "7"]


@pytest.mark.parametrize("name", OPS)
def test_every_rung_is_listed_and_the_compiled_ones_are_timed(name, clock, capsys):
    assert main(["ladder", name, "--backend", "cpp", "--backend", "cuda", *SMALL]) == 0
    text = capsys.readouterr().out
    for step in ladder.rungs(name, ("cpp", "cuda")):
        what, *fast = [line for line in text.splitlines() if line.startswith(f"│ {step.name} ")]
        assert ("not run here" in what) == (not backends.runs(step.column, "cpu"))
        assert ["2.00" in line for line in fast] == [True] * backends.runs(step.column, "cpu")  # x torch, by the test's clock
    assert name in text and "5x7" in text


def test_sources_are_those_of_the_rung():
    for name, op in OPS.items():
        for step in ladder.rungs(name):
            assert step.source.parent.name in (FILES[name], op.primitive)
            if step.column != "triton":
                assert step.source.name.startswith(f"{step.number}_")


def test_lines_count_what_the_rung_below_does_not_have(tmp_path, monkeypatch):
    folder = tmp_path / "cpu/gelu"
    folder.mkdir(parents=True)
    (folder / "1_naive.cpp").write_text("a\nb\n")
    (folder / "2_better.cpp").write_text("a\nc\nd\n")
    monkeypatch.setattr(ladder, "CSRC", tmp_path)
    first, second = ladder.rungs("gelu", ("cpp",))[:2]
    assert (ladder.lines([first, second], first), ladder.lines([first, second], second)) == ("2", "3, 2 new")
    assert [line for line in ladder.difference(first, second)[2:] if line[0] in "+-"] == ["-b", "+c", "+d"]


def test_diff(capsys):
    assert main(["ladder", "gelu", "--diff", "cpp:1", "cpp:2"]) == 0
    assert "+// GELU, rung 2" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no rung 'cpp:9'; the rungs are cpp:1, cpp:2"):
        main(["ladder", "gelu", "--diff", "cpp:1", "cpp:9"])


def test_a_wrong_rung_is_not_timed(clock, monkeypatch, capsys):
    pytest.importorskip("scratchnet._C", reason="needs the compiled kernels")
    monkeypatch.setattr(verify.Check, "ok", property(lambda check: False))
    assert main(["ladder", "gelu", "--backend", "cpp", *SMALL]) == 1
    assert "WRONG" in capsys.readouterr().out


def test_plot_and_tables(clock, tmp_path, drawn):
    pytest.importorskip("scratchnet._C", reason="needs the compiled kernels")
    page, picture = tmp_path / "docs" / "layer_norm.md", tmp_path / "figures" / "x.svg"
    for path in (page, picture):
        path.parent.mkdir()
    page.write_text("before\n<!-- ladder -->\n<!-- /ladder -->\nafter\n")
    assert main(["ladder", "layer_norm", *SMALL, "--plot", str(picture), "--readme", str(page)]) == 0
    names = [f"cpp:{n}  {idea}" for n, idea in enumerate(OPS["layer_norm"].rungs("cpp"), 1)] + ["torch's own"]
    assert [label.get_text() for label in drawn[0].axes[0].get_yticklabels()] == names
    *bars, roofline = drawn[0].axes
    for axes, tensors in zip(bars, (2, 5), strict=True):  # reads 1 and writes 1; backward reads 2 and writes 1
        ours = tensors * 35 * 4 / 0.1 / 1e9
        assert [bar.get_width() for bar in axes.patches] == pytest.approx([ours] * (len(names) - 1) + [ours / 2])
        assert [text.get_text() for text in axes.texts] == [f"{ours:.3g}"] * (len(names) - 1) + [f"{ours / 2:.3g}"]
    assert bars[0].patches[-1].get_hatch()  # torch's own differs from ours by more than its colour

    dots, (theirs,) = (points.get_offsets().tolist() for points in roofline.collections)
    flops, speed = 2 * 8 * 35, 2 * 8 * 35 / 0.1 / 1e9
    assert dots[0] == pytest.approx([flops / (13 * 35 * 4), speed])  # forward reads x three times, ...
    assert dots[1] == pytest.approx([flops / (8 * 35 * 4), speed]) and len(dots) == len(names) - 1
    assert theirs == pytest.approx([flops / (5 * 35 * 4), speed / 2])
    arrows = [(list(text.xyann), list(text.xy)) for text in roofline.texts if getattr(text, "arrow_patch", None)]
    assert arrows == list(zip(dots, dots[1:], strict=False))
    written = {text.get_text(): list(text.xy) for text in roofline.texts if isinstance(getattr(text, "xy", None), tuple)}
    named = dict(zip([name.split("  ")[0] for name in names], [*dots, theirs], strict=True))
    plates = [text for text in roofline.texts if text.get_text() in named]
    assert all(text.get_bbox_patch() and text.get_zorder() < 3 for text in plates)  # over the roof's line, under the points
    assert {name: written[name] for name in named} == {name: pytest.approx(place) for name, place in named.items()}

    root = ElementTree.parse(picture).getroot()
    title, words = (root.findtext(f"{{http://www.w3.org/2000/svg}}{part}") for part in ("title", "desc"))
    assert title == "The rungs of layer_norm, 5x7, float32"
    assert words.startswith(f"Forward, in GB/s: cpp:1 naive loop: {2 * 35 * 4 / 0.1 / 1e9:.3g}; cpp:2 ")
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and f"![{words}](../figures/x.svg)" in text
    _, _, what, fast, caption, _ = (part.split("\n") for part in text.split("\n\n"))
    assert what[0] == "| rung | idea | lines | error |" and fast[0].startswith("| rung | forward ms | pace |")
    assert len(what) == 2 + len(ladder.rungs("layer_norm")) and len(fast) == 2 + len(names) - 1  # only those that were timed
    assert all("| 2.00 |" in line for line in fast[2:])
    assert [line[:2] for line in caption] == ["- "] * 6


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_no_rung_moves_less_than_the_least(primitive):
    op = OPS[primitive]
    steps = {step.name: step for step in ladder.rungs(primitive)}
    assert set(op.passes) <= set(steps)
    call = bench.Call.drawn(op, next(iter(op.examples)), 200, 64, torch.float32, "cpu")
    least = op.cost(*call.args, **call.kwargs)
    for step in steps.values():
        moved = op.moved(step.column, step.number)(*call.args, **call.kwargs)
        assert moved.forward_bytes >= least.forward_bytes and moved.backward_bytes >= least.backward_bytes
        assert (moved.forward_flops, moved.backward_flops) == (least.forward_flops, least.backward_flops)


def test_the_naive_product_reads_two_numbers_for_every_multiply_add():
    op = OPS["matmul"]
    call = bench.Call.drawn(op, "2-D", 48, 32, torch.float32, "cpu")
    moved = op.moved("cpp", 1)(*call.args, **call.kwargs)
    products = 48 * 48 * 32
    assert moved.forward_bytes == 4 * (2 * products + 48 * 48)
    assert moved.backward_bytes == 4 * (4 * products + 2 * 48 * 32)
    assert op.moved("cpp", 2)(*call.args, **call.kwargs).forward_bytes == 4 * (products + 48 * 32 + 48 * 48)
    assert op.moved("cpp", 3)(*call.args, **call.kwargs).forward_bytes == op.cost(*call.args, **call.kwargs).forward_bytes


def test_a_rung_moves_what_the_one_below_does_unless_it_says_otherwise():
    op = OPS["layer_norm"]
    assert op.moved("cpp", 4) is op.passes["cpp:3"] and op.moved("cuda", 2) is op.cost

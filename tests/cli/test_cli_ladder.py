"""`scratchnet ladder`: every rung is listed, judged and measured; what is drawn and written is what was measured."""

import pytest

from scratchnet import backends
from scratchnet.cli import main
from scratchnet.measure import ladder, verify
from scratchnet.ops import OPS, PRIMITIVES

SMALL = ["--size", "5", "7"]


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_every_rung_is_listed_and_the_compiled_ones_are_timed(primitive, clock, capsys):
    assert main(["ladder", primitive, "--backend", "cpp", "--backend", "cuda", *SMALL]) == 0
    text = capsys.readouterr().out
    for step in ladder.rungs(primitive, ("cpp", "cuda")):
        (line,) = [line for line in text.splitlines() if line.startswith(f"│ {step.name} ")]
        assert ("not timed here" in line) == (not backends.runs(step.column, "cpu"))
        assert ("2.00" in line) == backends.runs(step.column, "cpu")  # x torch, by the clock of the test
    assert OPS[primitive].name in text and "5x7" in text


def test_sources_are_those_of_the_rung():
    for primitive in PRIMITIVES:
        for step in ladder.rungs(primitive):
            if step.column != "triton" and (ladder.ROOT / "csrc").is_dir():
                assert step.source.parent.name == primitive and step.source.name.startswith(f"{step.number}_")


def test_lines_count_what_the_rung_below_does_not_have(tmp_path, monkeypatch):
    folder = tmp_path / "csrc/cpu/gelu"
    folder.mkdir(parents=True)
    (folder / "1_naive.cpp").write_text("a\nb\n")
    (folder / "2_better.cpp").write_text("a\nc\nd\n")
    monkeypatch.setattr(ladder, "ROOT", tmp_path)
    first, second = ladder.rungs("gelu", ("cpp",))[:2]
    assert (ladder.lines([first, second], first), ladder.lines([first, second], second)) == ("2", "3, 2 new")
    assert [line for line in ladder.difference(first, second)[2:] if line[0] in "+-"] == ["-b", "+c", "+d"]
    with pytest.raises(FileNotFoundError, match="no source of cuda:1 here"):
        ladder.difference(first, ladder.rungs("gelu", ("cuda",))[0])


def test_diff(capsys):
    if not (ladder.ROOT / "csrc").is_dir():
        pytest.skip("the C++ sources are not beside the package")
    assert main(["ladder", "gelu", "--diff", "cpp:1", "cpp:2"]) == 0
    assert "+// GELU, rung 2" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no rung 'cpp:9'; the rungs are cpp:1, cpp:2"):
        main(["ladder", "gelu", "--diff", "cpp:1", "cpp:9"])


def test_a_wrong_rung_is_not_timed(clock, monkeypatch, capsys):
    pytest.importorskip("scratchnet._C", reason="needs the compiled kernels")
    monkeypatch.setattr(verify.Check, "ok", property(lambda check: False))
    assert main(["ladder", "gelu", "--backend", "cpp", *SMALL]) == 1
    assert "WRONG" in capsys.readouterr().out


def test_plot_and_table(clock, tmp_path, drawn):
    pytest.importorskip("scratchnet._C", reason="needs the compiled kernels")
    page = tmp_path / "gelu.md"
    page.write_text("before\n<!-- ladder -->\n<!-- /ladder -->\nafter\n")
    assert main(["ladder", "gelu", "--backend", "cpp", *SMALL, "--plot", str(tmp_path / "x.png"), "--readme", str(page)]) == 0
    names = [f"cpp:{n}  {idea}" for n, idea in enumerate(OPS["gelu"].rungs("cpp"), 1)] + ["torch's own"]
    assert [label.get_text() for label in drawn[0].axes[0].get_yticklabels()] == names
    *bars, roofline = drawn[0].axes
    for axes, tensors in zip(bars, (2, 5), strict=True):  # reads 1 and writes 1; backward reads 2 and writes 1
        ours = tensors * 35 * 4 / 0.1 / 1e9
        assert [bar.get_width() for bar in axes.patches] == pytest.approx([ours] * (len(names) - 1) + [ours / 2])
    dots = {dot.get_label(): dot.get_offsets().tolist()[0] for dot in roofline.collections}
    assert list(dots) == [f"cpp:{n}" for n in range(1, len(names))] + ["torch's own"]
    flops, moved = 2 * 15 * 35, 5 * 35 * 4
    assert dots["cpp:1"] == dots[f"cpp:{len(names) - 1}"] == pytest.approx([flops / moved, flops / 0.1 / 1e9])
    assert dots["torch's own"] == pytest.approx([flops / moved, flops / 0.2 / 1e9])
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert text.count("| cpp:") == len(names) - 1 and "| 2.00 |" in text

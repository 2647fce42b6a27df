"""Our model beside its torch twin: they stay together, and whatever drives them apart is seen."""

from dataclasses import replace

import pytest
import torch

from scratchnet.nn import functional as F
from scratchnet.training import TASKS, Comparison, Task, compare


@pytest.fixture(autouse=True)
def one_thread():
    """The products here are too small to share, and threads that wait for one another are slow on a busy machine."""
    torch.set_num_threads(1)


def task(name: str, samples: int | None = None) -> Task:
    """A task with few samples, in training and held out."""
    pytest.importorskip({"names": "names"}.get(name, "sklearn"), reason="pip install 'scratchnet[data]'")
    whole = TASKS[name]()
    return whole if samples is None else replace(whole.limit(samples), test=whole.limit(samples).train)


@pytest.fixture
def narrow():
    """320 digits and a small model."""
    return replace(
        task("digits", 320),
        model=lambda nn: nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.LayerNorm(32), nn.GELU(), nn.Dropout(0.1), nn.Linear(32, 10)
        ),
    )


def test_twins_stay_together():
    """900 steps in float32, and every loss agrees to rounding; both learn."""
    epochs, steps = [], []
    result = compare(task("digits"), on_step=lambda: steps.append(1), on_epoch=lambda r: epochs.append(len(r.results)))
    assert epochs == list(range(1, 21)) and len(steps) == len(result.losses) == len(result.seconds) == 900
    assert result.agree and result.differences.max() <= 1e-5 and result.rounding.max() <= 1e-4
    (ours, theirs), (first, _) = result.results[-1], result.mean_losses[0]
    assert ours >= 0.97 and theirs >= 0.97 and abs(ours - theirs) <= 1 / 360 and result.same_predictions >= 0.99
    assert result.mean_losses[-1][0] < 0.6 < first
    assert min(result.step_time) > 0


@pytest.mark.parametrize("name", ["diabetes", "names"])
def test_twins_of_other_tasks_stay_together(name):
    result = compare(task(name, 2000), epochs=3)
    assert result.agree and result.differences.max() <= 1e-5 and result.same_predictions == 1
    assert result.mean_losses[-1][0] < 0.9 * result.mean_losses[0][0]


@pytest.mark.parametrize("backend", [None, "reference", "numpy"])
def test_twins_stay_together_in_float64(narrow, backend):
    result = compare(narrow, backend=backend, epochs=3, seed=1, dtype=torch.float64)
    assert len(result.losses) == 30 and result.agree and result.differences.max() <= 1e-12 < 1e-10 > result.rounding.max()
    assert result.results[-1][0] == result.results[-1][1] >= 0.4 and result.same_predictions == 1


def test_compare_repeats_and_leaves_the_seed_alone(narrow):
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first, second = (compare(narrow, epochs=1).losses for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first == second
    assert compare(narrow, epochs=1, seed=1).losses != first


def test_compare_sees_a_wrong_kernel(narrow, monkeypatch):
    """The check can fail: a kernel that is off by one part in a thousand is off by more than rounding."""
    right = F.gelu
    monkeypatch.setattr(F, "gelu", lambda input, approximate="none": 1.001 * right(input, approximate))
    result = compare(narrow, epochs=1)
    assert not result.agree and result.differences.max() > 5 * result.rounding.max()


def comparison(*losses):
    return Comparison(torch.float32, losses=list(losses))


def test_rounding_grows_with_the_shadow():
    """16 units in the last place, and 32 times what the shadow has drifted up to that step."""
    eps = torch.finfo(torch.float32).eps
    calm, late = (1.0, 1.0, 1.0), (1.001, 1.0, 1.0)
    drift = (1.0, 1.0, 1.0 + 1e-4)
    assert comparison(calm, (1 + 15 * eps, 1.0, 1.0)).agree
    assert not comparison(calm, (1 + 17 * eps, 1.0, 1.0)).agree
    assert comparison(calm, drift, late).agree and not comparison(calm, late, drift).agree
    assert comparison(calm, drift).rounding.tolist() == pytest.approx([16 * eps, 16 * eps + 32e-4])


@pytest.mark.parametrize("nan", [(float("nan"), 1.0, 1.0), (1.0, float("nan"), 1.0), (1.0, 1.0, float("nan"))])
def test_nan_is_no_agreement(nan):
    assert not comparison((1.0, 1.0, 1.0), nan, (1.0, 1.0, 1.0)).agree

"""`scratchnet tune` measures, writes what is used from then on, and shows what decides."""

import math

import pytest
import torch
import torch.nn.functional as F

from scratchnet import _compiled, backends, profile
from scratchnet.cli import main
from scratchnet.cli import tune as command
from scratchnet.measure import bench, tune
from scratchnet.ops import OPS
from scratchnet.profile import Figure, Key

pytestmark = pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """An empty cache and one operator; what a test puts into use is forgotten afterwards."""
    monkeypatch.delenv("SCRATCHNET_PROFILE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(command, "OPS", {"gelu": OPS["gelu"]})
    profile.forget()
    yield
    monkeypatch.undo()
    profile.forget()


def test_quick_measures_and_is_used_from_then_on(capsys):
    torch.set_num_threads(2)
    assert main(["tune", "--quick"]) == 0
    assert torch.get_num_threads() == 2
    path = profile.cached()
    assert "".join(f"written: {path}".split()) in "".join(capsys.readouterr().out.split())
    in_use = profile.active()
    assert in_use.source == "tuned on this machine" and not in_use.ignored
    dtypes = ("float32", "float64", "bfloat16")
    assert set(in_use.profile.figures) == {
        Key("gelu", variant, dtype, threads) for variant in ("none", "tanh") for dtype in dtypes for threads in profile.THREADS
    }
    for figures in in_use.profile.figures.values():
        assert [figure.size for figure in figures] == [2**8, 91**2, 2**18]  # 91 is the root of 2**13
        assert all(0 < figure.forward < math.inf and 0 < figure.both < math.inf for figure in figures)


def test_show_says_which_figures_decide_from_where_and_when(monkeypatch, capsys, tmp_path):
    measured = {**profile.here(), "date": "2026-01-02", "commit": "abc"}
    figures = {Key("gelu", "none", "float32", "1"): (Figure(256, 0.5, 0.4), Figure(4096, 1.3, 1.2))}
    profile.write(profile.Profile(measured, figures), profile.cached())
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(tmp_path / "nowhere"))
    with pytest.warns(UserWarning, match="ignored"):
        assert main(["tune", "--show"]) == 0
    text = " ".join(word for word in capsys.readouterr().out.split() if word.strip("│┃"))
    assert "nowhere is ignored: " in text and "in use: tuned on this machine" in text
    assert f"measured 2026-01-02 on {profile.here()['processor']}" in text and "commit abc" in text
    assert "0.50x forward and 0.40x" in text and "1.30x forward and 1.20x" in text and "ours from 4,096" in text
    monkeypatch.setenv("SCRATCHNET_PROFILE", "off")
    profile.forget()
    assert main(["tune", "--show"]) == 0
    assert capsys.readouterr().out == "in use: SCRATCHNET_PROFILE=off\n"


def test_out_writes_another_file_and_leaves_the_cache_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "points", lambda ops, quick: [])
    path = tmp_path / "mine" / "own.json"
    assert main(["tune", "--out", str(path)]) == 0
    assert profile.read(path).measured["policy"] == profile.policy()
    assert not profile.cached().exists()


def test_a_file_that_cannot_be_written_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "points", lambda ops, quick: [])
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="cannot be written"):
        main(["tune", "--out", str(tmp_path / "file" / "own.json")])


def point(rows=40, columns=33, dtype=torch.float32, **more):
    return tune.Point(OPS["gelu"], "none", "none", dtype, rows, columns, **more)


@pytest.mark.parametrize("rows", (9, 400))  # judged by the oracle, and by torch's own
@pytest.mark.parametrize("wrong", (lambda y: y * 1.01, lambda y: y + math.nan, lambda y: y[:1]))
def test_a_wrong_result_is_never_chosen(rows, wrong, monkeypatch, capsys):
    plain = tune.verify.function

    def planted(op):
        call = plain(op)
        return lambda *args, **kwargs: wrong(call(*args, **kwargs)) if backends.current() == "cpp" else call(*args, **kwargs)

    assert not tune.measure(point(rows), 2, True).wrong
    monkeypatch.setattr(tune.verify, "function", planted)
    result = tune.measure(point(rows), 2, True)
    assert result.wrong.startswith("gelu [none]")
    assert result.figures == dict.fromkeys(profile.THREADS, Figure(rows * 33, 0.0, 0.0))
    monkeypatch.setattr(tune, "points", lambda ops, quick: [point(rows)])
    assert main(["tune"]) == 1
    assert "WRONG gelu [none]" in capsys.readouterr().out
    assert not profile.ours("gelu", "none", torch.float32, rows * 33)


def test_what_is_clear_is_not_timed_longer(monkeypatch):
    """On a clock of its own: torch's takes as long as `ratio` says."""
    for ratio, rounds in ((3.0, 1), (0.3, 1), (1.1, 1 + 3), (90.0, 1 + 3)):
        timed = []

        def clock(call, repeat, device, ratio=ratio, timed=timed):
            timed.append(backends.current())
            return 0.1 if backends.current() else 0.1 * ratio

        monkeypatch.setattr(bench, "timed", clock)
        call = bench.Call.drawn(OPS["gelu"], "none", 3, 4, torch.float32, "cpu")
        assert tune._ratio(call.op, call.forward, 0.001) == pytest.approx(ratio)
        warm = 1 if rounds == 1 else 2  # of each pass
        assert timed.count("cpp") == warm + rounds


def test_one_row_meets_the_weights_of_many_layers(monkeypatch):
    """In turn, each in memory of its own, and without a gradient."""
    seen, linear = {"torch": [], "cpp": []}, OPS["linear"]

    def noted(side, function):
        def call(x, weight, bias):
            seen[side].append(weight.data_ptr())
            assert not torch.is_grad_enabled() and len(x) == 1
            return function(x, weight, bias)

        return call

    monkeypatch.setattr(bench, "timed", lambda call, repeat, device: [call() for _ in range(repeat)] and 1e-5)
    monkeypatch.setattr(tune.verify, "function", lambda op: noted("cpp", F.linear))
    theirs = noted("torch", linear.torch)
    monkeypatch.setattr(tune, "_problem", lambda point, call: "")
    monkeypatch.setattr(type(linear), "baseline", property(lambda op: theirs))
    (point,) = [p for p in tune.points([linear], True) if p.variant == "one row" and p.rows == 16 and p.dtype == torch.float32]
    figure = tune.measure(point, 1, True).figures["1"]
    assert figure == (16 * 16, 1.0, 1.0)
    assert all(len(set(places)) == tune.LAYERS and places[0] == places[tune.LAYERS] for places in seen.values())


def test_the_points_are_the_benchmarks_sizes_and_those_below():
    found = tune.points([OPS["gelu"]], quick=False)
    sizes = {dtype: sorted({p.rows * p.columns for p in found if p.dtype == dtype}) for dtype in tune.DTYPES}
    assert sizes[torch.float32] == sorted({4**k for k in range(4, 12)} | {r * c for r, c in OPS["gelu"].sizes})
    assert sizes[torch.bfloat16] == sizes[torch.float64] == [16**k for k in range(2, 6)]
    benchmark = {(p.example, p.rows, p.columns) for p in found if p.alone}
    assert benchmark == {(example, *size) for example in OPS["gelu"].examples for size in OPS["gelu"].sizes}
    (huge,) = (s for s in OPS["cross_entropy"].sizes if 6 * math.prod(s) > tune.LARGEST_CALL)  # "positions" has six for each
    found = tune.points([OPS["cross_entropy"]], quick=False)
    assert huge not in {(p.rows, p.columns) for p in found if p.example == "positions"}
    few = tune.points([OPS["gelu"]], quick=True)
    assert max(p.rows * p.columns for p in few) == tune.LARGEST_QUICK


@pytest.mark.parametrize("name", [name for name in OPS if not OPS[name].timed])
def test_the_smallest_call_is_small_whatever_the_operator(name):
    """What is smaller than it runs as it does."""
    found = [point for point in tune.points([OPS[name]], quick=True) if point.example in OPS[name].examples]
    calls = (OPS[name].examples[point.example](point.rows, point.columns, torch.float32) for point in found)
    assert min(tune._first(args).numel() for args, _ in calls) <= 2 * tune.SMALLEST


def test_after_a_clear_lead_sizes_not_much_larger_are_not_measured():
    at = lambda lead, rows, **more: tune.Result(
        point(rows, 2**9, **more), {"1": Figure(1, 9.0, lead), "all": Figure(1, 9.0, 9.0)}
    )
    large = point(2**12, 2**9)
    assert not tune.settled(large, [])
    assert tune.settled(large, [at(0.5, 2**4), at(2.1, 2**8)])  # 16 times smaller
    assert not tune.settled(large, [at(2.1, 2**7)])
    assert not tune.settled(large, [at(2.1, 2**9), at(1.9, 2**8)])
    assert not tune.settled(large, [at(9.0, 2**8, dtype=torch.float64)])
    assert not tune.settled(point(2**4, 2**9), [at(9.0, 2**2)])  # a small call is measured in any case


def test_of_several_calls_of_one_size_the_worst_counts():
    results = [
        tune.Result(point(), {"1": Figure(9, 2.0, 0.7)}),
        tune.Result(point(), {"1": Figure(9, 0.8, 3.0), "all": Figure(9, 1.0, 1.0)}),
        tune.Result(point(), {"1": Figure(3, 5.0, 5.0)}),
    ]
    made = tune.profiled(results)
    assert made.figures == {
        Key("gelu", "none", "float32", "1"): (Figure(3, 5.0, 5.0), Figure(9, 0.8, 0.7)),
        Key("gelu", "none", "float32", "all"): (Figure(9, 1.0, 1.0),),
    }
    assert made.measured["isa"] == profile.isa() and made.measured["date"]

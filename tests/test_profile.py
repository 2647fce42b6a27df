"""Which side runs when no backend is named: the choice from figures, which profile is in use, and that calls follow it."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from cases import EXAMPLES, case
from torch._dynamo.testing import EagerAndRecordGraphs

import scratchnet
from scratchnet import _compiled, nn, profile
from scratchnet.functions import dispatch
from scratchnet.ops import FILES, OPS
from scratchnet.profile import Figure, Key, Profile

KEY = Key("gelu", "none", "float32", "1")
WINS, LOSES = (Figure(1000, 2.0, 2.0),), (Figure(1000, 0.5, 0.5),)
needs_kernels = pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")


def figures(*rows) -> tuple[Figure, ...]:
    return tuple(Figure(*row) for row in rows)


def variant(op, example) -> str:
    args, kwargs = example(2, 3, torch.float32)
    return op.variant(*args, **kwargs)


def written(path: Path, own: dict | None = None, **changes) -> Path:
    """A profile of this process, with changed facts."""
    measured = {**profile.here(), "date": "2026-01-02", "commit": "abc", **changes}
    profile.write(Profile(measured, {KEY: WINS} if own is None else own), path)
    return path


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No profile named, an empty cache; each test's own is read anew, and forgotten afterwards."""
    monkeypatch.delenv("SCRATCHNET_PROFILE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    profile.forget()
    yield
    monkeypatch.undo()
    profile.forget()


# ---- the choice --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "both", "ours"),
    [(1.0, 1.0, True), (0.96, 1.05, True), (0.95, 3.0, False), (3.0, 0.94, False), (0.96, 1.03, False), (0.0, 0.0, False)],
)
def test_ours_runs_where_both_directions_together_are_not_slower_and_none_by_more_than_5_percent(forward, both, ours):
    assert Figure(100, forward, both).ours is ours


def test_flips_are_between_what_was_measured_on_both_sides():
    yes, no = (2.0, 2.0), (0.5, 0.5)
    assert profile.flips(()) == ()
    assert profile.flips(figures((256, *no), (4096, *no))) == ()
    assert profile.flips(figures((256, *yes), (4096, *yes))) == (0,)
    assert profile.flips(figures((256, *no), (1024, *no), (4096, *yes))) == (4095,)
    assert profile.flips(figures((256, *yes), (1024, *no), (4096, *yes), (16384, *yes), (65536, *no))) == (0, 256, 4095, 16384)


@needs_kernels
def test_a_size_is_looked_up_between_the_flips(tmp_path, monkeypatch):
    yes, no = (2.0, 2.0), (0.5, 0.5)
    own = {KEY: figures((256, *no), (1024, *yes), (4096, *yes), (8192, *no)), KEY._replace(variant="tanh"): WINS}
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(written(tmp_path / "own.json", own)))
    torch.set_num_threads(1)
    sizes = (0, 1, 256, 1023, 1024, 4096, 4097, 10**6)
    assert [profile.ours("gelu", "none", torch.float32, n) for n in sizes] == [n in (1024, 4096) for n in sizes]
    assert not profile.ours("gelu", "tanh", torch.float32, 0) and profile.ours("gelu", "tanh", torch.float32, 1)
    # never measured: ours
    assert profile.ours("gelu", "none", torch.float64, 1)
    assert profile.ours("gelu", "other", torch.float32, 1)
    assert profile.ours("soft_clip", "", torch.float32, 1)
    torch.set_num_threads(2)
    assert profile.ours("gelu", "none", torch.float32, 1)


@needs_kernels
def test_what_decided_is_said_with_its_figures_from_where_and_when(tmp_path, monkeypatch):
    no = (0.5, 0.5)
    own = {
        Key("gelu", "none", "float32", "1"): figures((256, *no), (4096, 1.4, 1.2), (16384, *no)),
        Key("gelu", "tanh", "float32", "1"): figures((256, *no), (4096, 0.9, 0.8)),
        Key("layer_norm", "plain", "float32", "1"): figures((256, 3, 3), (4096, 1.1, 1.2)),
        Key("linear", "none", "float32", "1"): figures((256, 3, 3), (4096, *no), (8192, 2.0, 3.0)),
    }
    path = written(tmp_path / "own.json", own)
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(path))
    torch.set_num_threads(1)
    where = f"(SCRATCHNET_PROFILE={path}, 2026-01-02)"
    small, large = "0.50x forward and 0.50x with backward at 256", "1.40x forward and 1.20x with backward at 4,096"
    assert profile.why("gelu") == (
        f"none: ours from 4,096 to 4,096 elements: {small}, {large}; "
        f"tanh: torch's own at every size: ours is at best 0.90x forward and 0.80x with backward at 4,096 {where}"
    )
    assert profile.why("layer_norm") == (
        f"plain: ours at every size: at least 1.10x forward and 1.20x with backward at 4,096 {where}"
    )
    assert profile.why("linear").startswith("none: ours up to 256 and from 8,192 multiply-adds: 3.00x forward")
    assert profile.why("matmul") == f"ours: not measured {where}"


# ---- which profile is in use -------------------------------------------------------------------------------------------


@needs_kernels
def test_a_named_file_comes_before_the_cache_and_the_cache_before_what_ships(tmp_path, monkeypatch):
    name = f"{profile.isa()}-{profile.policy()}"
    shipped = profile.active()
    assert name in shipped.source and shipped.ignored == ()
    assert profile.cached() == tmp_path / "cache" / "scratchnet" / f"{name}.json"
    written(profile.cached(), date="2026-01-03")
    profile.forget()
    assert profile.active().source == "tuned on this machine" and profile.where().endswith("2026-01-03")
    path = written(tmp_path / "named.json", date="2026-01-04")
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(path))
    profile.forget()
    assert profile.where() == f"SCRATCHNET_PROFILE={path}, 2026-01-04"


def test_off_is_no_profile(monkeypatch):
    monkeypatch.setenv("SCRATCHNET_PROFILE", "off")
    assert profile.active() == (None, "SCRATCHNET_PROFILE=off", ())
    assert profile.ours("gelu", "none", torch.float32, 1)
    assert profile.why("gelu") == "ours (SCRATCHNET_PROFILE=off)"


@needs_kernels
@pytest.mark.parametrize(
    ("fact", "other"),
    [
        ("processor", "an abacus"),
        ("cores", 999),
        ("isa", "mmx"),
        ("torch_isa", "NONE"),
        ("policy", "dream"),
        ("torch", "1.0.3"),
        ("scratchnet", "9"),
    ],
)
def test_a_profile_of_another_machine_or_version_is_ignored_with_a_sentence(fact, other, tmp_path, monkeypatch):
    written(profile.cached(), **{fact: other})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nobody named it: `scratchnet info` says it
        in_use = profile.active()
    own = str(profile.here()[fact]) if fact != "torch" else profile.minor(torch.__version__)
    (sentence,) = in_use.ignored
    assert str(profile.cached()) in sentence and f"{fact} was" in sentence and own in sentence and "scratchnet tune" in sentence
    assert "shipped" in in_use.source

    path = written(tmp_path / "named.json", **{fact: other})
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(path))
    profile.forget()
    with pytest.warns(UserWarning, match=f"SCRATCHNET_PROFILE=.* is ignored: {fact} was") as caught:
        profile.active()
        profile.active()
    assert len(caught) == 1


@needs_kernels
def test_another_patch_of_torch_is_the_same_torch(tmp_path):
    written(profile.cached(), torch=f"{profile.minor(torch.__version__)}.99")
    assert profile.active().source == "tuned on this machine"


@needs_kernels
@pytest.mark.parametrize("text", ("", "{", "[]", '{"measured": {}, "operators": []}', '{"measured": 1, "operators": 2}'))
def test_a_corrupt_file_is_ignored_with_a_sentence(text):
    profile.cached().parent.mkdir(parents=True)
    profile.cached().write_text(text)
    (sentence,) = profile.active().ignored
    assert "it is not a profile" in sentence and "shipped" in profile.active().source


@needs_kernels
def test_a_file_that_is_not_there_is_warned_about(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(tmp_path / "nowhere.json"))
    with pytest.warns(UserWarning, match="nowhere.json is ignored: .*No such file"):
        assert "shipped" in profile.active().source


@needs_kernels
def test_an_instruction_set_without_a_profile_gets_a_guess_and_is_told(monkeypatch):
    monkeypatch.setattr(profile, "isa", lambda: "neon")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    in_use = profile.active()
    assert in_use.source == "a guess, the shipped avx2-passive profile: neon was never measured, run scratchnet tune"
    assert in_use.profile.figures


@pytest.mark.parametrize(
    ("variables", "policy"),
    [
        ({}, "spin"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "passive"),
        ({"OMP_WAIT_POLICY": "passive"}, "passive"),
        ({"OMP_WAIT_POLICY": "active"}, "spin"),
        ({"GOMP_SPINCOUNT": "0"}, "passive"),
        ({"GOMP_SPINCOUNT": "1000"}, "spin"),
    ],
)
def test_what_idle_threads_do(variables, policy, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert profile.policy() == policy


@pytest.mark.parametrize("name", [f"{isa}-{policy}" for isa in ("avx2", "avx512") for policy in ("passive", "spin")])
def test_what_ships_knows_every_operator(name):
    """Every variant of every example, in three dtypes, with one thread and more."""
    shipped = profile.read(profile.SHIPPED / f"{name}.json")
    assert f"{shipped.measured['isa']}-{shipped.measured['policy']}" == name
    assert shipped.measured["torch_isa"] == shipped.measured["isa"].upper()
    wanted = set()
    for op in [op for op in OPS.values() if not op.timed]:  # the others are ours at every size
        wanted |= {(op.name, variant(op, example)) for example in op.examples.values()}
        wanted |= {(op.name, name) for name in op.forward_only}
    for dtype in ("float32", "float64", "bfloat16"):
        for threads in profile.THREADS:
            assert wanted == {key[:2] for key in shipped.figures if key[2:] == (dtype, threads)}
    for key, own in shipped.figures.items():
        assert [f.size for f in own] == sorted({f.size for f in own}), key


# ---- files -------------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back(tmp_path):
    own = {KEY: figures((256, 0.5, 0.123), (4096, 2.0, 3.0)), Key("matmul", "2-D", "bfloat16", "all"): WINS}
    written(tmp_path / "a" / "own.json", own, cores=3)
    again = profile.read(tmp_path / "a" / "own.json")
    assert again.figures == own and again.measured["cores"] == 3


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = written(tmp_path / "own.json")
    before, seen = path.read_text(), []
    replace = os.replace

    def watched(source, target):
        seen.append((Path(target).read_text() == before, json.loads(Path(source).read_text())["measured"]["cores"]))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    written(path, cores=7)
    assert seen == [(True, 7)] and profile.read(path).measured["cores"] == 7

    def fails(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        written(path, cores=8)
    assert profile.read(path).measured["cores"] == 7
    assert [entry.name for entry in tmp_path.iterdir()] == ["own.json"]  # no half file is left


# ---- calls follow it ---------------------------------------------------------------------------------------------------


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """chosen(figures) puts them into use for every call, and returns a list of each call of one of our operators."""
    calls, plain = [], dispatch.Operator.__call__
    monkeypatch.setattr(dispatch.Operator, "__call__", lambda self, *args: calls.append(self.op.name) or plain(self, *args))

    def use(own):
        keys = {
            Key(op.name, variant(op, example), dtype, threads): own
            for op in OPS.values()
            for example in op.examples.values()
            for dtype in ("float32", "float64")
            for threads in profile.THREADS
        }
        monkeypatch.setenv("SCRATCHNET_PROFILE", str(written(tmp_path / "all.json", keys)))
        profile.forget()
        return calls

    with scratchnet.backend(None):
        yield use


@needs_kernels
@pytest.mark.parametrize("name, example", [e for e in EXAMPLES if not OPS[e[0]].timed])
def test_a_call_runs_on_the_faster_side(name, example, chosen):
    """torch's own gives its own bits, and nothing of ours runs; ours agrees with it."""
    c = case(name, example, 40, 33)
    calls = chosen(LOSES)
    own = c.torch(*c.leaves)
    for ours, theirs in zip(c.ours(*c.leaves), own, strict=True):
        assert torch.equal(ours, theirs)
    assert not calls
    assert dispatch.default(OPS[name], c.args, c.kwargs) == "torch"
    chosen(WINS)
    torch.testing.assert_close(c.ours(*c.leaves), own)
    assert {FILES[call] for call in calls} == {FILES[name]}  # scatter_add of rows is index_add
    assert dispatch.default(OPS[name], c.args, c.kwargs) == "cpp"


@needs_kernels
def test_a_named_backend_comes_before_the_profile(chosen):
    calls = chosen(LOSES)
    with scratchnet.backend("cpp"):
        scratchnet.gelu(torch.ones(3))
    assert calls == ["gelu"]


@needs_kernels
@pytest.mark.parametrize("call", ("bias_gelu", "geglu", "add_layer_norm"))
def test_torchs_own_does_not_widen_what_we_take(call, chosen):
    """Its sums and products broadcast."""
    chosen(LOSES)
    with pytest.raises(RuntimeError, match=rf"^{call}\(\)"):
        {
            "bias_gelu": lambda: scratchnet.bias_gelu(torch.ones(2, 3), torch.ones(1)),
            "geglu": lambda: scratchnet.geglu(torch.ones(2, 3)),
            "add_layer_norm": lambda: scratchnet.add_layer_norm(torch.ones(2, 3), torch.ones(1, 3), (3,)),
        }[call]()


@needs_kernels
def test_the_same_argument_decides_in_any_order_of_names(monkeypatch):
    sizes = []
    monkeypatch.setattr(profile, "ours", lambda op, variant, dtype, size: sizes.append(size))
    ids = torch.zeros(1, 2, dtype=torch.int64)
    with scratchnet.backend(None):
        nn.functional.linear(weight=torch.ones(3, 4), input=torch.ones(2, 4))
        nn.functional.embedding(ids, torch.ones(5, 4))
        nn.functional.embedding(weight=torch.ones(6, 4), input=ids)
        nn.functional.embedding_bag(weight=torch.ones(7, 4), input=ids)
    assert sizes == [2 * 4 * 3, 5 * 4, 6 * 4, 7 * 4]


@needs_kernels
def test_below_the_first_flip_torchs_own_runs_without_another_look(tmp_path, monkeypatch):
    """For the variant, the dtype and the number of threads of the call; elsewhere `ours` is asked."""
    small = {"1": figures((64, 0.5, 0.5), (1024, 2.0, 2.0)), "all": figures((64, 2.0, 2.0))}
    own = {KEY._replace(threads=threads): found for threads, found in small.items()}
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(written(tmp_path / "own.json", own)))
    profile.forget()
    asked, ours = [], profile.ours
    noted = lambda op, variant, dtype, size: asked.append((variant, size)) or ours(op, variant, dtype, size)
    monkeypatch.setattr(profile, "ours", noted)
    torch.set_num_threads(1)
    with scratchnet.backend(None):
        scratchnet.gelu(torch.ones(8))  # the profile is read
        assert asked == [("none", 8)]
        x = torch.linspace(-3, 3, 1023)
        assert torch.equal(scratchnet.gelu(x), torch.nn.functional.gelu(x)) and len(asked) == 1
        for others in (torch.ones(1024), torch.ones(8, dtype=torch.float64)):
            scratchnet.gelu(others)
        scratchnet.gelu(torch.ones(8), approximate="tanh")
        torch.vmap(scratchnet.gelu)(torch.ones(2, 8))
        torch.set_num_threads(2)
        scratchnet.gelu(torch.ones(8))
    assert asked[1:] == [("none", 1024), ("none", 8), ("tanh", 8), ("none", 8), ("none", 8)]


@needs_kernels
def test_a_product_is_as_large_as_its_multiply_adds(monkeypatch):
    asked = []
    monkeypatch.setattr(profile, "ours", lambda op, variant, dtype, size: asked.append((variant, size)))
    weight = torch.ones(7, 5, requires_grad=True)
    with scratchnet.backend(None):
        for x in (torch.ones(5), torch.ones(1, 1, 5), torch.ones(2, 5)):
            with torch.no_grad():
                nn.functional.linear(x, weight)
        nn.functional.linear(torch.ones(1, 5), weight)
    assert asked == [("one row", 35), ("one row", 35), ("none", 70), ("none", 35)]


@needs_kernels
def test_a_call_that_has_no_variant_is_explained_by_us(chosen):
    chosen(LOSES)
    with pytest.raises(TypeError, match=r"cross_entropy\(\): argument 'target'|cross_entropy\(\).*target"):
        scratchnet.cross_entropy(torch.ones(2, 3), "classes")


@needs_kernels
def test_compiled_code_does_not_look_at_it(tmp_path, monkeypatch):
    """One graph for both sides of a flip, with our operator in it."""
    own = figures((64, 0.5, 0.5), (1024, 2.0, 2.0))
    path = written(tmp_path / "own.json", {KEY._replace(threads=threads): own for threads in profile.THREADS})
    monkeypatch.setenv("SCRATCHNET_PROFILE", str(path))
    assert not profile.ours("gelu", "none", torch.float32, 16) and profile.ours("gelu", "none", torch.float32, 5600)
    run = torch.compile(scratchnet.gelu, fullgraph=True, dynamic=True, backend=(seen := EagerAndRecordGraphs()))
    for rows in (2, 3, 700):
        x = torch.randn(rows, 8)
        torch.testing.assert_close(run(x), torch.nn.functional.gelu(x))
    (graph,) = seen.graphs
    called = [node.target for node in graph.graph.nodes if isinstance(node.target, torch._ops.OpOverload)]
    assert called == [torch.ops.scratchnet.gelu.default]


def test_importing_does_not_read_it(tmp_path):
    """A broken file must not matter until a call needs it."""
    program = "import scratchnet; from scratchnet import profile; print(profile.active.cache_info().currsize)"
    environment = {**os.environ, "SCRATCHNET_PROFILE": str(tmp_path / "nowhere.json")}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "0\n" and "nowhere" not in ran.stderr

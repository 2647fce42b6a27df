"""The rule that judges every kernel, and the command that applies it: wrong results must not pass."""

from dataclasses import replace

import pytest
import torch

import scratchnet
from scratchnet import backends
from scratchnet.cli import main, options
from scratchnet.cli import verify as command
from scratchnet.measure import verify
from scratchnet.ops import OPS

GELU = OPS["gelu"]


def gelu(dtype=torch.float32, **options) -> verify.Judgement:
    return verify.compare(GELU, "none", 3, 33, dtype, "reference", **options)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_figures_are_those_of_the_definition(dtype):
    result = gelu(dtype, seed=5)
    torch.manual_seed(5)
    (x,), _ = GELU.examples["none"](3, 33, dtype)
    grad = torch.randn(3, 33, dtype=torch.float64).to(dtype)
    wide = x.detach().double().requires_grad_()
    exact = wide * 0.5 * (1 + torch.erf(wide / 2**0.5))
    y = torch.nn.functional.gelu(x)
    expected = [exact, *torch.autograd.grad(exact, wide, grad.double())]
    own = [y, *torch.autograd.grad(y, x, grad)]
    assert result.ok
    assert [check.what for check in result.checks] == ["output", "gradient of input"]
    for check, right, theirs in zip(result.checks, expected, own, strict=True):
        assert check.scale == pytest.approx(right.abs().max().item(), rel=1e-12)
        assert check.torch_error == pytest.approx((theirs.double() - right).abs().max().item(), rel=1e-6, abs=1e-15)
        ulp = torch.finfo(dtype).eps * check.scale
        rule = verify.TIMES_TORCH * check.torch_error + verify.ULPS * ulp
        # what 4 ulp in the input change, twice for float64: |x gelu'(x)| and the like are at most twice the scale
        assert rule < check.bound <= rule + 4 * verify.ULPS * ulp
        assert check.error <= check.bound


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda y: y * 1.00001, "gradient of input: error"),
        (lambda y: y.where(y != y.max(), torch.nan), "output: error nan"),
        (lambda y: y.where(y != y.max(), torch.inf), "output: error inf"),
        (lambda y: y.double(), "(3, 33) torch.float64 instead of (3, 33) torch.float32"),
    ],
    ids=["a little too large", "one NaN", "one infinity", "another dtype"],
)
def test_wrong_output_fails(plant, wrong, what):
    plant(wrong)
    result = gelu()
    assert not result.ok
    assert not result.worst.ok
    assert any(what in line and "FAIL" in line for line in str(result).splitlines())


def test_special_values_must_stand_where_the_oracle_has_them(plant):
    def special(t):
        return torch.full_like(t, torch.nan)

    assert gelu(layout=special).ok
    plant(lambda y: y.nan_to_num())
    assert "NaN or infinity in other places" in str(gelu(layout=special))


def test_torch_that_computes_something_else_is_no_judge():
    result = verify.compare(replace(GELU, torch=torch.relu), "none", 3, 33, torch.float32, "reference")
    assert not result.ok
    assert "different things" in str(result)


def test_layouts_reach_the_kernel_and_the_gradient(monkeypatch):
    strides = []
    right = verify.function(GELU)
    monkeypatch.setattr("scratchnet.functions.gelu.gelu", lambda x, **kw: strides.append(x.stride()) or right(x, **kw))
    assert gelu(layout=lambda t: t[:1].expand_as(t)).ok
    assert gelu(layout=lambda t: t.mT.contiguous().mT).ok
    assert (0, 1) in strides and (1, 3) in strides


def test_random_state_and_backend_are_left_alone():
    before = torch.get_rng_state()
    gelu()
    assert torch.equal(before, torch.get_rng_state())
    assert scratchnet.backends.current() is None


def test_command_passes_on_right_kernels(capsys):
    assert main(["verify", "gelu", "--backend", "reference"]) == 0
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if "│" in line]
    family = [op for op in OPS.values() if op.primitive == "gelu"]
    names = {op.name for op in family}
    assert {line.split("│")[1].strip() for line in lines} == names
    assert len(lines) == 4 * len(names)  # one per dtype
    assert all(" ok " in line for line in lines)
    assert f"{4 * 3 * sum(len(op.examples) for op in family)} calls, 0 failed" in text  # in four dtypes, at three sizes


def test_a_kernel_with_several_names_is_judged_once():
    last = len(GELU.rungs("triton"))
    named = ["triton:1", f"triton:{last}", f"triton:{backends.HIGHEST['triton']}", "triton", "reference"]
    assert options.rungs(GELU, "cpu", named) == ["triton:1", f"triton:{last}", "reference"]
    assert options.rungs(OPS["conv2d"], "cpu", named) == ["reference"]  # without a Triton kernel


def test_command_says_which_backends_cannot_run(capsys, monkeypatch):
    monkeypatch.setattr(command, "DTYPES", (torch.float32,))
    monkeypatch.setattr(backends, "missing", lambda column: "no GPU" if column == "cuda" else None)
    assert main(["verify", "geglu"]) == 0
    assert "\ncuda does not run here: no GPU\n" in capsys.readouterr().out


@pytest.mark.full
def test_several_processes_find_the_same(capsys):
    command = ["verify", "logsumexp", "--backend", "reference"]
    alone, shared = (main([*command, "--processes", n]) or capsys.readouterr().out for n in ("1", "2"))
    assert "24 calls, 0 failed" in alone and alone == shared


def test_command_fails_on_a_wrong_kernel(plant, capsys):
    plant(lambda y: y * 1.001)
    assert main(["verify", "gelu", "--backend", "reference"]) == 1
    text = capsys.readouterr().out
    assert "FAIL gelu [none] 3x33 float32 on reference" in text
    assert "FAIL gelu [none] 3x33 float64 on reference" in text
    assert "FAIL bias_gelu" not in text


def test_command_reports_a_kernel_that_raises(plant, capsys):
    plant(lambda y: y.view(7, 11, 13))
    assert main(["verify", "gelu", "--backend", "reference"]) == 1
    text = capsys.readouterr().out
    assert "FAIL gelu [none] 17x129 float16 on reference: RuntimeError: shape '[7, 11, 13]' is invalid" in text
    assert "an exception in every call" in text

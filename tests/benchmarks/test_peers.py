"""benchmarks/peers.py: a package is measured beside torch and ours and judged by the oracle, or skipped with a sentence."""

import runpy
from pathlib import Path

import pytest
import torch

import scratchnet
from scratchnet import _compiled
from scratchnet.measure import bench
from scratchnet.measure.bench import Call
from scratchnet.ops import OPS

FILE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "peers.py"))


@pytest.mark.parametrize(
    "peer, op", [pytest.param(peer, op, id=f"{peer.package} {op}") for peer in FILE["PEERS"] for op in peer.ops]
)
def test_its_function_is_ours(peer, op):
    """Where the package is installed; eps is not the default one, and no size is a multiple of a vector."""
    threads = torch.get_num_threads()
    try:
        make = peer.load()
    except (ImportError, ValueError) as error:
        pytest.skip(f"needs {peer.package}: {error}")
    call = Call.drawn(OPS[op], next(iter(OPS[op].examples)), 7, 33, torch.float32, "cpu")
    with torch.no_grad():
        theirs = FILE["_tensor"](make(call)())
        torch.testing.assert_close(theirs, OPS[op].torch(*call.args, **call.kwargs), atol=1e-5, rtol=1e-5)
    assert torch.get_num_threads() == threads


@pytest.fixture
def peers(monkeypatch, tmp_path):
    """`peers(peer, ...)` runs the command with these at a small size; its lines, and the text."""
    names = FILE["main"].__globals__
    monkeypatch.setitem(names, "IN_CACHE", (5, 7))
    monkeypatch.setitem(FILE["OPTIM"]["measure"].__globals__, "SHAPE", (20, 30))
    monkeypatch.setattr(bench, "timed", lambda call, repeat, device: call() is None or 0.1)

    def run(*chosen):
        monkeypatch.setitem(names, "PEERS", chosen)
        page = tmp_path / "page.md"
        page.write_text("<!-- peers -->\n<!-- /peers -->\n")
        assert FILE["main"](["--quick", "--readme", str(page)]) == 0
        lines = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.startswith("| numpy")]
        return [[cell.strip() for cell in line] for line in lines], page.read_text()

    return run


def numpy_softmax(scale):
    def make(call):
        x = call.args[0].detach().numpy()
        return lambda: scale * torch.softmax(torch.from_numpy(x), -1).numpy()

    return lambda: make


@pytest.mark.skipif(_compiled.module is None, reason="needs the compiled module")
def test_a_package_is_timed_and_judged_and_a_wrong_result_is_seen(peers):
    peer = FILE["Peer"]
    lines, _ = peers(*(peer("numpy", ("softmax",), numpy_softmax(scale), threads=1) for scale in (1, 2)))
    for line, bound, ratio in zip(lines, (1e-6, None), ("1.00 (1.00-1.00)", "WRONG"), strict=True):
        assert line[1:7] == ["softmax", "5x7", "1", "100", "1.00 (1.00-1.00)", ratio]
        ours, own, theirs = map(float, line[7].split(" / "))
        assert ours < 1e-6 and own < 1e-6 and (theirs < bound if bound else theirs > 0.1)


def test_a_package_that_is_missing_or_broken_is_skipped_with_a_sentence(peers):
    def missing():
        raise ImportError("no module named\nnowhere")

    def broken(call):
        raise RuntimeError("needs another CPU")

    threads = torch.get_num_threads()
    peer = FILE["Peer"]
    lines, text = peers(peer("nowhere", ("gelu",), missing, threads=1), peer("broken", ("gelu",), lambda: broken))
    assert not lines
    assert "nowhere is skipped: no module named nowhere. broken is skipped: needs another CPU." in text
    assert torch.get_num_threads() == threads and scratchnet.backends.current() is None

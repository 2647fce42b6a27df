"""csrc/cpu/pages.h: the memory of large results is kept when they are freed, for the next one."""

import copy
import io
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import scratchnet
from scratchnet import _compiled
from scratchnet.nn import functional

pytestmark = pytest.mark.skipif(
    _compiled.module is None or tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11),
    reason="without compiled kernels, or on torch 2.10, torch allocates every result",
)

MEBIBYTE = 2**20


@pytest.fixture
def release():
    """sn_release_kept_pages, with nothing kept at first and nothing left behind."""
    _compiled.module.release_kept_pages()
    yield _compiled.module.release_kept_pages
    _compiled.module.release_kept_pages()


def result(mebibytes: int) -> torch.Tensor:
    """A result of ours of that size, every element 9."""
    with scratchnet.backend("cpp"):
        return functional.gelu(torch.full((mebibytes, 2**18), 9.0))


def test_memory_of_a_freed_result_is_the_next_ones(release):
    y = result(8)
    address = y.data_ptr()
    del y
    assert result(8).data_ptr() == address


def test_small_results_are_torchs_own(release):
    result(1), result(3)
    assert release() == 0


def test_results_in_use_share_nothing(release):
    first, second = result(8), result(8)
    with scratchnet.backend("cpp"):
        zeros = functional.gelu(torch.zeros(8, 2**18))
    assert torch.equal(first, second)
    assert first.eq(9.0).all() and zeros.eq(0.0).all()
    assert len({first.data_ptr(), second.data_ptr(), zeros.data_ptr()}) == 3


def test_no_more_is_kept_and_used_than_was_once_used(release):
    for mebibytes in (40, 12, 6, 20, 30):
        result(mebibytes)
    held = [result(8), result(24)]
    assert release() == 8 * MEBIBYTE
    assert all(y.eq(9.0).all() for y in held)


def test_what_is_kept_in_pieces_becomes_one_result(release):
    """Without a page that is new, on Linux, where pages can be moved; results that are in use stay where they are."""
    x, held = torch.full((24, 2**18), 9.0), [result(8) for _ in range(6)]
    del held[::2]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with scratchnet.backend("cpp"):
        joined = functional.gelu(x)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert release() == 0
    if sys.platform == "linux":
        assert faults < 8  # 12 huge pages, or 512 times as many small ones
    joined += 1
    assert joined.eq(10.0).all() and all(y.eq(9.0).all() for y in held)
    del joined
    parts = [result(4) for _ in range(6)]
    assert release() == 0
    assert len({y.data_ptr() for y in [*parts, *held]}) == 9 and all(y.eq(9.0).all() for y in [*parts, *held])


def test_a_loop_that_replaces_its_result_finds_its_pages_again():
    """y, half as large as the gradient, is freed when the next y is there. In a separate process: nothing else is kept."""
    program = """
import resource
import torch
from scratchnet.nn.functional import geglu
x = torch.randn(4096, 3072, requires_grad=True)
upstream = torch.ones(4096, 1536)
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    y = geglu(x)
    torch.autograd.grad(y, x, upstream)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert (
        int(printed) < 8
    )  # within the peak alone each step maps its results anew: 18 huge pages, or 512 times as many small ones


def test_what_is_kept_can_be_released(release):
    y = result(16)
    assert release() == 0  # it is in use
    del y
    assert release() == 16 * MEBIBYTE
    assert release() == 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux says there which pages it may take")
def test_what_is_kept_idle_is_the_systems_to_take(release):
    def lazily_free():
        return sum(int(line.split()[1]) for line in Path("/proc/self/smaps").read_text().splitlines() if "LazyFree" in line)

    before = lazily_free()
    first, second = result(8), result(8)
    address = first.data_ptr()
    del first
    time.sleep(0.2)
    assert lazily_free() == before  # nothing was freed since
    del second  # kept for no time yet; the first is marked
    assert lazily_free() == before + 8 * 1024
    first, second = result(8), result(8)  # both are taken again, and hold what was written
    assert address in (first.data_ptr(), second.data_ptr())
    assert first.eq(9.0).all() and second.eq(9.0).all()
    assert lazily_free() == before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says there what is resident")
def test_the_end_of_the_last_huge_page_is_not_resident(release):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    x = torch.full((5, 2**18), 9.0)
    before = resident()
    with scratchnet.backend("cpp"):
        held = [functional.gelu(x) for _ in range(16)]
    assert resident() - before < 16 * 5.5 * MEBIBYTE  # on huge pages alone 16 * 6
    assert all(y.eq(9.0).all() for y in held)


def test_a_smaller_result_takes_a_part_of_a_large_block(release):
    result(64)
    y = result(8)
    assert release() == 56 * MEBIBYTE
    assert y.eq(9.0).all()


def test_numpy_keeps_the_memory_of_its_tensor(release):
    array = result(8).numpy()
    others = [result(8) for _ in range(3)]
    assert all(other.data_ptr() != array.ctypes.data for other in others)
    np.testing.assert_array_equal(array, 9.0)


def test_results_are_freed_on_any_thread(release):
    held = [result(8)]
    address = held[0].data_ptr()
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert result(8).data_ptr() == address


def test_a_result_is_copied_saved_and_shared_like_any_tensor(release):
    y = result(8)
    buffer = io.BytesIO()
    torch.save(y, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(y), torch.load(buffer), y.clone().share_memory_()):
        assert torch.equal(other, y)
    assert torch.equal(result(8).share_memory_(), y)
    assert y.untyped_storage().nbytes() == y.nbytes


def test_its_storage_cannot_grow(release):
    y = result(8)
    assert y.resize_(4, 2**18).shape == (4, 2**18)
    with pytest.raises(RuntimeError, match="not resizable"):
        y.resize_(16, 2**18)


def test_gradients_in_kept_memory_are_those_of_torch(release):
    x = torch.randn(2048, 1024, requires_grad=True)
    weight = torch.randn(1024, requires_grad=True)
    ours, theirs = [], []
    for _ in range(3):  # from the second time on, in memory that was used before
        ours = torch.autograd.grad(functional.layer_norm(x, (1024,), weight).sin().sum(), (x, weight))
        theirs = torch.autograd.grad(F.layer_norm(x, (1024,), weight).sin().sum(), (x, weight))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-4, atol=1e-4)

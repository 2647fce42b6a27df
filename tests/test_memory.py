"""csrc/cpu/memory.h, pages.h and bindings/sizes.h: too much is refused with an exception, forks are safe, nothing leaks."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from scratchnet import _compiled

pytestmark = pytest.mark.skipif(_compiled.module is None, reason="without compiled kernels torch allocates everything")
ops = torch.ops.scratchnet


def child(program: str, *arguments: object, timeout: int = 300, **environment: str) -> list[str]:
    """The words that a program printed in a separate process, which must succeed."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=os.environ | environment)
    assert run.returncode == 0, f"ended with {run.returncode}: {run.stdout}{run.stderr[-2000:]}"
    return run.stdout.split()


LIMIT = """
import resource, sys, torch, scratchnet
def limit(mebibytes):  # of address space, beyond what is in use
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * 2**20, resource.RLIM_INFINITY))
"""

SCRATCH = {
    "recurrence": """
        x, h, steps = torch.randn(2048, 64), torch.zeros(64, 512), torch.full((32,), 64)
        w, v = torch.randn(2048, 64), torch.randn(2048, 512)
        call = lambda: torch.ops.scratchnet.recurrence_forward(x, steps, w, v, None, None, h, h, None, 2, False, 3)
    """,
    "matmul": """
        a, b = torch.randn(1024, 1024).bfloat16(), torch.randn(1024, 1024).bfloat16()
        call = lambda: torch.ops.scratchnet.matmul_forward(a.T, b, 7)
    """,
    "embedding_backward": """
        grad, index = torch.randn(1 << 20, 1), torch.arange(1 << 20)
        call = lambda: torch.ops.scratchnet.embedding_backward(grad, index, 1 << 20, -1, False, 7)
    """,
}


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("name", SCRATCH)
def test_scratch_that_there_is_no_room_for_is_a_memory_error(name, threads):
    """At every limit, until the call succeeds: an exception with the bytes that were needed, and the process goes on."""
    program = f"""
{LIMIT}
import os
torch.set_num_threads(1)  # a pool of threads would not survive the forks
{textwrap.dedent(SCRATCH[name])}
for mebibytes in (0, 1, 2, 4, 8, 16, 24, 28, 32, 512):
    if process := os.fork():  # nothing that one call has kept helps the next
        assert os.waitpid(process, 0)[1] == 0
        continue
    torch.set_num_threads(int(sys.argv[1]))
    torch.zeros(1 << 20).sum()  # the threads of the pool are there before the limit
    limit(mebibytes)
    try:
        call()
        print("fits", flush=True)
    except (MemoryError, RuntimeError) as error:
        assert "bytes" in str(error), error
        print(type(error).__name__, flush=True)
    assert torch.ones(3).sum() == 3
    os._exit(0)
"""
    # malloc maps large blocks, so that it does not find them among what was freed before the limit.
    ends = child(program, threads, MALLOC_MMAP_THRESHOLD_="131072")
    assert len(ends) == 10 and {"MemoryError", "fits"} <= set(ends) <= {"MemoryError", "RuntimeError", "fits"}


def test_what_is_kept_is_given_back_before_a_result_is_refused():
    program = f"""
{LIMIT}
x = torch.zeros(25 << 20)  # 100 MiB
limit(330)
y, z = (torch.ops.scratchnet.gelu_forward(x, False, 4) for _ in range(2))
del y, z
print(torch.ops.scratchnet.embedding_forward(torch.zeros(1, 1 << 20), torch.zeros(50, dtype=torch.int64), -1, False, 4).numel())
"""
    assert child(program) == [str(50 << 20)]


FLOATS, INDEX = torch.ones(4, 3), torch.zeros(4, 3, dtype=torch.int64)
IMAGE, FILTER = torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3)
TOO_LARGE = {
    "matmul": lambda: ops.matmul_forward(torch.empty(2**20, 0), torch.empty(0, 2**42 + 1), 5),
    "linear": lambda: ops.linear_forward(torch.ones(1, 1).expand(2**31, 1), torch.ones(1, 1).expand(2**31, 1), None, 0, 5),
    "gather, rows": lambda: ops.gather_backward(FLOATS, [2**60, 3], INDEX, 0, 4),
    "gather, all": lambda: ops.gather_backward(FLOATS, [2**62, 2**62], INDEX, 0, 4),
    "embedding": lambda: ops.embedding_backward(FLOATS, INDEX[:, 0], 2**60, -1, False, 4),
    "embedding of nothing": lambda: ops.embedding_backward(torch.ones(4, 0), INDEX[:, 0], 2**60, -1, False, 4),
    "conv2d, padding": lambda: ops.conv2d_forward(IMAGE, FILTER, None, [1, 1], [2**63 - 1, 0], [1, 1], 1, 8),
    "conv2d, padding of both": lambda: ops.conv2d_forward(IMAGE, FILTER, None, [1, 1], [2**40, 2**40], [1, 1], 1, 8),
    "conv2d, dilation": lambda: ops.conv2d_forward(IMAGE, FILTER, None, [1, 1], [0, 0], [2**62, 1], 1, 8),
    "adaptive_avg_pool2d": lambda: ops.adaptive_avg_pool2d_forward(IMAGE, [10**8, 10**8], 7),
    "avg_pool2d, back": lambda: ops.avg_pool2d_backward(IMAGE, [2**40, 2**40, 9, 9], [5, 5], [1, 1], [0, 0], False, True, 0, 7),
    "max_pool2d, back": lambda: ops.max_pool2d_backward(FLOATS, [2**32, 2**32], INDEX, 7),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_sizes_that_wrap_are_refused(name):
    """Before any memory is touched: the exception that torch raises, which names bytes, sizes or the argument."""
    with pytest.raises(RuntimeError, match="bytes|must be|must not"):
        TOO_LARGE[name]()


def test_a_step_that_is_never_taken_may_be_of_any_length():
    y = ops.conv2d_forward(IMAGE, FILTER, None, [2**62, 1], [0, 0], [1, 1], 1, 8)
    torch.testing.assert_close(y, torch.full((1, 1, 1, 3), 9.0))
    y, index = ops.max_pool2d_forward(IMAGE, [2, 2], [2**31 - 2, 2**31 - 2], [0, 0], [1, 1], False, 7)
    assert y.tolist() == [[[[1.0]]]] and index.tolist() == [[[[0]]]]


FORKS = """
import os, sys, threading, time, torch, scratchnet
torch.set_num_threads(1)  # a pool of threads does not survive a fork, torch's own neither
gelu, x = torch.ops.scratchnet.gelu_forward, torch.randn(1 << 20)  # 4 MiB: the least that lies on kept pages
sizes = [x.repeat(k) for k in (1, 2, 3)]
def churn():
    k = 0
    while True:
        gelu(sizes[k % 3], False, 4)
        k += 1
for _ in range(2):
    threading.Thread(target=churn, daemon=True).start()
for _ in range(int(sys.argv[1])):
    process = os.fork()
    if process == 0:
        gelu(x, False, 4)
        os._exit(0)
    patience = time.monotonic() + 60
    while not os.waitpid(process, os.WNOHANG)[0]:
        if time.monotonic() > patience:
            os.kill(process, 9)
            print("hung", flush=True)
            os._exit(1)
        time.sleep(0.001)
print("well", flush=True)
os._exit(0)
"""


def test_a_child_that_is_forked_meanwhile_can_make_results():
    """The lock of the kept pages and their lists are intact in the child: before, five of 85 children hung."""
    assert child(FORKS, 60) == ["well"]


@pytest.mark.full
def test_five_hundred_forks():
    assert child(FORKS, 500, timeout=1800) == ["well"]


RESIDENT = """
import random, resource, sys, threading, torch, scratchnet
torch.set_num_threads(2)
steps, threads, least, most = map(int, sys.argv[1:])
layer = scratchnet.nn.LayerNorm(1024)
def train(seed):
    draw = random.Random(seed)
    for _ in range(steps):
        x = torch.zeros(draw.randrange(least, most), 1024, requires_grad=True)
        with scratchnet.backend("cpp"):
            layer(x).sum().backward()
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
workers = [threading.Thread(target=train, args=(seed,)) for seed in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) // 1024)
"""
TENSORS = 4  # alive at a time in a step: x, y, the gradients of both


@pytest.mark.parametrize("steps", (200, pytest.param(2000, marks=pytest.mark.full)))
def test_what_is_resident_does_not_grow_with_the_steps(steps):
    """Sizes from 4 to 24 MiB: at most twice what the largest step needs, including kept pages that fit no other size."""
    (mebibytes,) = map(int, child(RESIDENT, steps, 1, 1024, 6144, timeout=1800))
    assert mebibytes <= 2 * TENSORS * 24


@pytest.mark.full
def test_a_hundred_threads_hold_no_more_than_they_use():
    (mebibytes,) = map(int, child(RESIDENT, 20, 100, 1024, 1536, timeout=1800))
    assert mebibytes <= 2 * TENSORS * 6 * 100


@pytest.fixture
def control_group():
    """A folder of the memory controller, version 1 or 2, in which a limit can be set."""
    base = Path("/sys/fs/cgroup/memory") if Path("/sys/fs/cgroup/memory").exists() else Path("/sys/fs/cgroup")
    group = base / f"scratchnet-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be created here: {error}")
    limit = next((group / name for name in ("memory.limit_in_bytes", "memory.max") if (group / name).exists()), None)
    yield group, limit
    group.rmdir()


def test_kept_pages_make_way_under_a_control_groups_limit(control_group):
    """A container's limit counts what is kept. The system reclaims it when others need it: nothing is killed."""
    group, limit = control_group
    if limit is None:
        pytest.skip("this control group cannot limit memory")
    program = """
import os, sys, numpy, torch, scratchnet
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
x = torch.zeros(64 << 20)  # 256 MiB
kept = [torch.ops.scratchnet.gelu_forward(x, False, 4) for _ in range(2)]
del kept, x
used = int(open("/proc/self/statm").read().split()[1]) * 4096
with open(sys.argv[2], "w") as limit:  # what is resident, 512 MiB of it kept, and a little
    limit.write(str(used + (64 << 20)))
others = numpy.ones(48 << 20)  # 384 MiB: only in the place of what is kept
print(int(others.sum()), scratchnet._compiled.module.release_kept_pages() >> 20)
"""
    assert child(program, group, limit) == [str(48 << 20), "512"]

"""Numbers of a CPU's core, memory and threads: the effects that probes.cpp shows one at a time."""

from __future__ import annotations

import resource
import statistics
from pathlib import Path

import torch

import scratchnet
from terms import number, probe, seconds, size, times

LOOP = 1 << 20  # rounds of what costs a few cycles
MEMORY = 1 << 24  # float32 numbers that no cache holds: 64 MiB


def chain_of(places: torch.Tensor, n: int) -> torch.Tensor:
    """A ring through some of n places in a random order: place -> the next one."""
    order = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))]
    order = torch.cat([order[order != 0], order.new_zeros(1)])
    ring = torch.zeros(n, dtype=torch.int32)
    ring[torch.cat([order[-1:], order[:-1]])] = order.int()
    return ring


@number("times")
def one_chain():
    """Time of multiply-adds in one chain / time of as many in 12 chains."""
    return times(probe("chains", size(12 * LOOP), 1), probe("chains", size(12 * LOOP), 0))


@number("billion a second")
def multiply_adds():
    """Multiply-adds of vectors that one thread begins in a second, in 12 chains, / 1e9."""
    return size(12 * LOOP) / seconds(probe("chains", size(12 * LOOP), 0)) / 1e9


@number("times")
def one_accumulator():
    """Time of a sum of 4,096 numbers in one accumulator / in 8."""
    x = torch.ones(4096)
    return times(probe("sum", x, 4096, 1), probe("sum", x, 4096, 0))


@number("times")
def horizontal_sums():
    """Time of a sum of 4,096 numbers whose lanes are added up after every vector / once at the end."""
    x = torch.ones(4096)
    return times(probe("lanes", x, 4096, 1), probe("lanes", x, 4096, 0))


@number("times")
def gather_instruction():
    """Time of gathering 8 numbers from 8 places in the cache / of loading 8 neighbours."""
    x, n = torch.ones(4096), 4096
    index = torch.randint(4096 - 8, (n,), dtype=torch.int32)
    return times(probe("gathered", x, index, n, 1), probe("gathered", x, index, n, 0))


@number("times")
def mispredicted():
    """Time of a branch on random signs / on the same signs, sorted."""
    x = torch.randn(size(LOOP))
    return times(probe("branches", x, len(x)), probe("branches", x.sort().values, len(x)))


@number("times")
def stored_in_halves():
    """Time of a load of 8 bytes that were stored as 2 x 4 / that were stored as 8."""
    return times(probe("through_memory", size(LOOP), 1), probe("through_memory", size(LOOP), 0))


@number("times")
def subnormal_products():
    """Time of a product that is subnormal / of one that is not."""
    return times(probe("products", size(LOOP), 1), probe("products", size(LOOP), 0))


@number("times")
def whole_lines():
    """Time of reading all 16 numbers of every cache line from memory / of reading one of each line."""
    x = torch.ones(size(MEMORY))
    return times(probe("every", x, len(x), 1), probe("every", x, len(x), 16))


@number("times")
def memory_latency():
    """Time of a load that waits for the one before, within 64 MiB / within 16 KiB."""
    n, few = size(MEMORY), 4096
    far = chain_of(torch.arange(0, n, 16), n)
    near = chain_of(torch.arange(0, few, 16), few)
    steps = n // 16  # all of it: what the last run has read is no longer in a cache
    return times(probe("chase", far, steps), probe("chase", near, steps))


@number("times")
def dependent_loads():
    """Time of a load from a random line of 64 MiB that waits for the one before / that does not."""
    n, steps = size(MEMORY), size(MEMORY) // 16
    ring = chain_of(torch.arange(0, n, 16), n)
    places = torch.randint(n // 16, (steps,), dtype=torch.int32) * 16
    return times(probe("chase", ring, steps), probe("visit", ring, places, steps))


@number("times")
def prefetched_rows():
    """Time of a polynomial of random rows of 256 bytes / of the same with the row eight places ahead prefetched."""
    x = torch.ones(size(MEMORY))
    order = torch.randint(len(x) // 64, (size(1 << 16),), dtype=torch.int32)
    return times(probe("rows", x, order, len(order), 0), probe("rows", x, order, len(order), 1))


@number("times")
def same_set():
    """Time of reading 48 lines that are 4,096 bytes apart / 4,160 bytes apart, again and again."""
    x = torch.ones(48 * 1040)
    return times(probe("column", x, 1024, size(1 << 14)), probe("column", x, 1040, size(1 << 14)))


@number("times")
def across_lines():
    """Time of loads of 32 bytes that lie in two cache lines each / in one."""
    x = torch.ones(2048)
    start = x[-(x.data_ptr() // 4) % 16 :]
    return times(probe("loads", start, 48, size(1 << 14)), probe("loads", start, 0, size(1 << 14)))


@number("times")
def through_the_cache():
    """Time of filling 64 MiB by plain stores / by non-temporal ones."""
    x = torch.ones(size(MEMORY))
    y = x[-(x.data_ptr() // 4) % 16 :]
    return times(probe("fill", y, len(y) // 16 * 16, 0), probe("fill", y, len(y) // 16 * 16, 1))


@number("times")
def a_page_each():
    """Time of a load that waits for the one before, 8,192 lines in a page each / the same number of lines side by side."""
    lines, page = size(8192), 1024
    in_page = torch.arange(lines) % 64 * 16  # another line in each page: they share no set of the cache
    spread = chain_of(torch.arange(lines) * page + in_page, lines * page)
    dense = chain_of(torch.arange(lines) * 16, lines * 16)
    return times(probe("chase", spread, size(1 << 16)), probe("chase", dense, size(1 << 16)))


def _faults(call) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    call()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@number("page faults")
def faults():
    """Page faults of writing to every page of 64 MiB of fresh memory."""
    return _faults(probe("touch", 4 * size(MEMORY), 0))


@number("page faults")
def faults_of_a_kept_result():
    """Page faults of scratchnet.layer_norm into a result of 64 MiB, after a first such call."""
    x = torch.ones(size(MEMORY) // 64, 64)
    with scratchnet.backend("cpp"):
        call = lambda: scratchnet.layer_norm(x, (64,))
        call()
        return min(_faults(call) for _ in range(5))


@number("times")
def small_pages():
    """Time of writing to every page of 64 MiB of fresh memory on pages of 4 KiB / on huge pages of 2 MiB."""
    return times(probe("touch", 4 * size(MEMORY), 0), probe("touch", 4 * size(MEMORY), 1))


@number("node")
def numa_nodes():
    """Folders node0, node1, ... in /sys/devices/system/node."""
    return max(1, len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))))


@number("times")
def false_sharing():
    """Median time of two threads that add atomically to neighbours in one cache line / to numbers in lines of their own."""
    return times(probe("counters", size(LOOP), 1), probe("counters", size(LOOP), 16), statistics.median)


@number("times")
def atomic_addition():
    """Time of an atomic addition that no other thread disturbs / of a load, an addition and a store."""
    return times(probe("additions", size(LOOP), 1), probe("additions", size(LOOP), 0))


@number("%")
def lost_additions():
    """Share of 2,000,000 additions of two threads that got lost, the largest of 5 tries."""
    n = size(1_000_000)
    return 100 * max(probe("lost", n)() for _ in range(5)) / (2 * n)


@number("times")
def sleeping():
    """Time of handing a turn to a thread on another CPU that sleeps / to one that spins."""
    return times(probe("turns", size(1000), 0), probe("turns", size(1000), 1))


@number("us")
def new_thread():
    """Time of creating a thread and waiting for its end."""
    return seconds(probe("threads", size(200))) / size(200) * 1e6

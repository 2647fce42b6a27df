"""Memory that a kernel can do no harm to: pages that can only be read, between pages that nobody may touch.

Sent to the child with the runner, which is why nothing of scratchnet is imported here.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import weakref

import numpy as np

CAPACITY = 2**31  # bytes of the inputs and of the results of one call; only what is written takes memory
PAGE = mmap.PAGESIZE
LINE = 64  # bytes: arrays begin at a multiple of it, and end less than that before a page that nobody may touch
ANONYMOUS, SHARED, PRIVATE, FIXED = mmap.MAP_ANONYMOUS | mmap.MAP_PRIVATE, mmap.MAP_SHARED, mmap.MAP_PRIVATE, 0x10
NONE, READ, WRITE = 0, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)


class Problem(Exception):
    """What is wrong with a kernel, in words for its author."""


def shown(descriptor: int, at: int, size: int, lenient: int) -> int:
    """Where some bytes of the parent's memory can be read; `lenient` 1: and changed here, 2: and what is around them."""
    span = pages(size)
    base = _mapped(None, span + 2 * PAGE, WRITE if lenient > 1 else NONE, ANONYMOUS)
    inside, kind = (WRITE, PRIVATE) if lenient else (READ, SHARED)
    return _mapped(base + PAGE, span, inside, kind | FIXED, descriptor, at) + span - lines(size)


class Memory:
    """float32 memory for a result: NaN, with random numbers around it and then pages that nobody may touch."""

    def __init__(self, shape: list, opened: bool):
        size = 4 * math.prod(shape)
        self.span = pages(size) + (2 * PAGE if opened else 0)
        whole = _mapped(None, pages(size) + 2 * PAGE, WRITE, ANONYMOUS)
        self.base = whole + (0 if opened else PAGE)
        self.first = self.span - lines(size) - (PAGE if opened else 0)
        self.last, self.start = self.first + size, self.base + self.first
        self.around = os.urandom(self.first), os.urandom(self.span - self.last)
        ctypes.memmove(self.base, self.around[0] + b"\xff" * size + self.around[1], self.span)
        for guard in () if opened else (self.base - PAGE, self.base + self.span):
            _mapped(guard, PAGE, NONE, ANONYMOUS | FIXED)
        array = np.frombuffer((ctypes.c_char * max(size, 1)).from_address(self.start), np.float32, size // 4)
        self.array = array.reshape(shape)
        weakref.finalize(array, libc.munmap, ctypes.c_void_p(whole), pages(size) + 2 * PAGE)

    def damage(self) -> str | None:
        """Which of the surroundings was written to."""
        now = ctypes.string_at(self.base, self.span)
        if now[: self.first] != self.around[0]:
            return "before the beginning"
        return "past the end" if now[self.last :] != self.around[1] else None


def lines(size: int) -> int:
    """Bytes, in whole cache lines."""
    return -(-size // LINE) * LINE


def pages(size: int) -> int:
    """Bytes, in whole pages; at least one, and room around the array."""
    return -(-(size + LINE) // PAGE) * PAGE


def _mapped(at: int | None, size: int, protection: int, flags: int, descriptor: int = -1, offset: int = 0) -> int:
    address = libc.mmap(at, size, protection, flags, descriptor, offset)
    if address == ctypes.c_void_p(-1).value:
        raise Problem(f"there is no memory for it: {os.strerror(ctypes.get_errno())}")
    return address

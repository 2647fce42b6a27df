"""A process of its own for each kernel: what it is asked, and what it means when it does not answer."""

from __future__ import annotations

import contextlib
import functools
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

from scratchnet.checker import memory, operators, runner, surroundings
from scratchnet.checker.contract import KernelError

HIDDEN = ("PYTEST", "COVERAGE", "SCRATCHNET")  # environment variables that begin so are none of a kernel's business


class Ended(KernelError):
    """The process is gone; `signal` is what ended it, 0 if it ended itself."""

    def __init__(self, message: str, number: int = 0):
        super().__init__(message)
        self.signal = number


class Child:
    """A process that answers requests, one at a time. Its memory: `numbers` goes there, `answers` comes back."""

    def __init__(self, modules: tuple[str, ...], variables: tuple[tuple[str, str], ...] = ()):
        zygote = _zygote(modules, variables)
        self.line, theirs = socket.socketpair()
        (numbers, read_only), (answers, also), (self.said, too) = (_shared(s) for s in (memory.CAPACITY, memory.CAPACITY, 0))
        self.numbers, self.answers = (mmap.mmap(d, memory.CAPACITY) for d in (numbers, answers))
        process = zygote.fork(theirs.fileno(), read_only, answers, self.said)
        theirs.close()
        for descriptor in (numbers, read_only, answers, also, too):
            os.close(descriptor)
        self.end = weakref.finalize(self, _end, zygote, self.line, process)
        self._close = weakref.finalize(self, os.close, self.said)

    def ask(self, do: str, patience: float, **request) -> dict:
        """The reply to a request; KernelError: what it says is wrong. Ended: it ended, or was ended after `patience` s."""
        data = json.dumps({"do": do, **request}).encode()
        try:
            self.line.sendall(struct.pack("I", len(data)) + data)
            if not select.select([self.line], [], [], patience)[0]:
                self.end()
                raise Ended(f"it does not end: it was still running after {patience:g} s", signal.SIGALRM)
            size = struct.unpack("I", self._received(4))[0]
            reply = json.loads(self._received(size))
        except (EOFError, OSError, ValueError):
            raise self._ended() from None
        if problem := reply.get("problem"):
            raise KernelError(problem)
        if raised := reply.get("raised"):
            raise KernelError(f"it raised {raised}")
        return reply

    def printed(self) -> str:
        """What the kernel wrote to its standard output and errors."""
        return os.pread(self.said, 2**16, 0).decode(errors="replace")

    def _received(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            if not (more := self.line.recv(size - len(data))):
                raise EOFError
            data += more
        return data

    def _ended(self) -> Ended:
        status = self.end()
        if status is None:
            return Ended("the process that ran it is gone")
        if not os.WIFSIGNALED(status):
            return Ended(f"it ended the process, with exit status {os.WEXITSTATUS(status)}, and returned nothing")
        number = os.WTERMSIG(status)
        if number == signal.SIGKILL:
            return Ended("it was killed: out of memory?", number)
        return Ended(f"it crashed ({signal.strsignal(number)}): it reads or writes far outside its arrays", number)


class _Zygote:
    """A fresh Python that has imported what kernels need and forks for each of them."""

    def __init__(self, modules: tuple[str, ...], variables: tuple[tuple[str, str], ...]):
        self.line, theirs = socket.socketpair()
        text = f"{_program()}\nwarm({theirs.fileno()}, {list(modules)})\n"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)} | dict(variables)
        self.process = subprocess.Popen(
            [sys.executable, "-"],
            stdin=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,  # a Ctrl-C is the parent's, which then ends it
        )
        theirs.close()
        self.process.stdin.write(text.encode())
        self.process.stdin.close()
        weakref.finalize(self, _finish, self.process, self.line)

    def fork(self, *descriptors: int) -> int:
        """The number of a new child, which holds these."""
        socket.send_fds(self.line, [b"fork"], descriptors)
        return self._number()

    def wait(self, process: int) -> int:
        """How a child ended."""
        self.line.sendall(str(process).encode())
        return self._number()

    def _number(self) -> int:
        if not (data := self.line.recv(8, socket.MSG_WAITALL)):
            raise KernelError(f"{sys.executable} does not start another Python: no kernel can be run")
        return struct.unpack("q", data)[0]


_zygote = functools.cache(_Zygote)


def _program() -> str:
    """The text of the runner and of what it imports from here: the child shall know nothing of scratchnet."""
    text = "\n".join(Path(module.__file__).read_text(encoding="utf-8") for module in (memory, surroundings, operators, runner))
    return "\n".join(line for line in text.splitlines() if not line.startswith(("from scratchnet.", "from __future__")))


def _end(zygote: _Zygote, line: socket.socket, process: int) -> int | None:
    """Make sure that a child is gone; its status, None if there is no telling."""
    line.close()
    with contextlib.suppress(OSError, KernelError):  # the zygote is gone too
        os.kill(process, signal.SIGKILL)
        return zygote.wait(process)
    return None


def _finish(process: subprocess.Popen, line: socket.socket) -> None:
    line.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _shared(size: int) -> tuple[int, int]:
    """New memory that processes can share: a descriptor to write to it, and one that can only read."""
    if hasattr(os, "memfd_create"):
        writable = os.memfd_create("memory")
        read_only = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY)
    else:
        writable, path = tempfile.mkstemp()
        read_only = os.open(path, os.O_RDONLY)
        os.unlink(path)
    os.truncate(writable, size)
    return writable, read_only

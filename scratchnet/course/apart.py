"""A function in a process of its own: what it finds out is in its result, and not left in this one's memory.

Processes in which a reader's code runs are copies of this one, so what is right for that code is computed apart.
"""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Callable

import torch


def started(function: Callable, *args, daemon: bool = False) -> tuple[BaseProcess, Connection]:
    """A process that calls a function with an end of a pipe and some arguments; the other end of the pipe."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")  # a fork has imported torch already
    inbox, outbox = context.Pipe(duplex=False)
    process = context.Process(target=function, args=(outbox, *args), daemon=daemon)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a fork may deadlock: this child keeps to one thread
        process.start()
    outbox.close()
    return process, inbox


def apart(function: Callable, *args) -> object:
    """What a function of ours returns or raises."""
    process, inbox = started(_answer, function, *args)
    try:
        returned, result = inbox.recv()
    except EOFError:
        raise RuntimeError(f"the process that ran {function.__name__} ended before there was a result") from None
    finally:
        process.join()
        inbox.close()
    if not returned:
        raise result
    return result


def _answer(outbox: Connection, function: Callable, *args) -> None:
    torch.set_num_threads(1)
    try:
        outbox.send((True, function(*args)))
    except Exception as error:  # whatever it raises
        outbox.send((False, error))

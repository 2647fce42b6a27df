"""Work that two processes do together: started as torchrun starts them, connected by gloo, with one thread each."""

import os
import socket
from pathlib import Path

import torch
import torch.multiprocessing as mp

from scratchnet.training import processes


def two_processes(work, *args) -> dict:
    """What `work(rank, results, *args)` has put into results in both; "threads", rank: gloo's that were left at the end."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(_join, (port, results, work, args), nprocs=2)
        return dict(results)


def _join(rank, port, results, work, args):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "tests"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with processes() as count:
        assert count == 2
        torch.set_num_threads(1)
        work(rank, results, *args)
    tasks = Path("/proc/self/task").glob("*/comm")  # none but on Linux
    results["threads", rank] = [name for name in map(Path.read_text, tasks) if "gloo" in name]

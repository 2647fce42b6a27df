"""DistributedDataParallel over two gloo processes: the averaged gradients are those of the whole batch. And torch's RPC."""

import pytest
import torch
import torch.distributed.autograd
import torch.multiprocessing as mp
from torch.distributed import rpc
from two_processes import two_processes

import scratchnet
from scratchnet import nn


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(11, 8), nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 5))


def batch():
    torch.manual_seed(1)
    return torch.randint(11, (8,)), torch.randint(5, (8,))


def train(rank, results, compile):
    with scratchnet.backend("cpp"):
        ddp = torch.nn.parallel.DistributedDataParallel(model())
        run = torch.compile(ddp, backend="aot_eager") if compile else ddp
        x, y = (t.chunk(2)[rank] for t in batch())
        nn.functional.cross_entropy(run(x), y).backward()
    results[rank] = [p.grad for p in ddp.parameters()]


def check(compile: bool) -> None:
    gradients = two_processes(train, compile)
    whole = model()
    x, y = batch()
    nn.functional.cross_entropy(whole(x), y).backward()
    for rank in (0, 1):
        for ours, parameter in zip(gradients[rank], whole.parameters(), strict=True):
            torch.testing.assert_close(ours, parameter.grad)


def test_two_processes():
    check(compile=False)


@pytest.mark.full
def test_two_processes_compiled():
    check(compile=True)


def by_rpc(rank, file):
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{file}")
    rpc.init_rpc("alone", rpc.BackendType.TENSORPIPE, 0, 1, options)
    whole, (x, y) = model(), batch()
    with scratchnet.backend("cpp"):
        nn.functional.cross_entropy(whole(x), y).backward()
        with torch.distributed.autograd.context() as context:
            torch.distributed.autograd.backward(context, [nn.functional.cross_entropy(whole(x), y)])
            gradients = torch.distributed.autograd.get_gradients(context)
    for parameter in whole.parameters():
        torch.testing.assert_close(gradients[parameter], parameter.grad)
    rpc.shutdown()


@pytest.mark.skipif(not rpc.is_available(), reason="this torch has no RPC")
def test_a_backward_pass_of_rpc_makes_all_gradients(tmp_path):
    """Its engine says of every node that it does not go on to it."""
    mp.spawn(by_rpc, (tmp_path / "store",))

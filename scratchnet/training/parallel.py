"""Several processes that train one model: joining them, leaving them, and what each does of a step."""

from __future__ import annotations

import contextlib
import gc
import os
from collections import Counter
from typing import Any, Iterator

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler

from scratchnet import profile, torch_private


@contextlib.contextmanager
def processes() -> Iterator[int]:
    """`with training.processes() as count: main()` joins the processes that torchrun started, and leaves them at the end.

    Each gets its part of the machine's cores as threads; gloo connects them. In a program that torchrun did not start, and in
    one that has joined by itself, nothing happens. What holds a model of these processes must be gone at the end, as the
    variables of `main` are: gloo's threads live as long as it, and one that frees a tensor while Python ends kills the process.
    """
    if dist.is_initialized() or not dist.is_torchelastic_launched():
        yield count()
        return
    import torch.distributed.nn  # noqa: F401  imported later, the default arguments of its functions would hold the group

    dist.init_process_group("gloo")
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, profile.cores() // int(os.environ["LOCAL_WORLD_SIZE"])))
    try:
        yield count()
    finally:
        torch.set_num_threads(threads)
        gc.collect()  # a DistributedDataParallel is in a cycle of references, and holds the group
        torch_private.forget_meshes()
        dist.destroy_process_group()


def shard(model: Module) -> Module:
    """Split the parameters of a model over the processes by FSDP2, in place, before its optimizer is made; return it.

    All start from the parameters and buffers of the first process. Every layer of a Sequential or ModuleList is gathered when
    it runs and let go afterwards, the rest when the model runs. RuntimeError without processes.
    """
    if not dist.is_initialized():
        hint = "call it inside `with training.processes():` in a program that torchrun starts"
        raise RuntimeError(f"shard: there are no processes to split the parameters over; {hint}")
    from torch.distributed.device_mesh import init_device_mesh  # on first use: they take longer to import than all of ours
    from torch.distributed.fsdp import fully_shard

    for tensor in (*model.parameters(), *model.buffers()):
        dist.broadcast(tensor.detach(), 0)
    device = next((parameter.device.type for parameter in model.parameters()), "cpu")
    mesh = init_device_mesh(device, (count(),))
    uses = Counter(parameter for _, parameter in model.named_parameters(remove_duplicate=False))
    for module in [*model.modules()][::-1]:  # the innermost first
        layers = module if isinstance(module, (torch.nn.Sequential, torch.nn.ModuleList)) else ()
        for layer in layers:
            own = [*layer.parameters()]
            if own and all(uses[parameter] == 1 for parameter in own) and not isinstance(layer, torch.nn.ModuleList):
                fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def count() -> int:
    """How many processes there are, 1 outside of a group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which one this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def together(model: Module) -> tuple[Module, Module]:
    """What to call in a training step, so that all processes get the mean of their gradients; and the model itself."""
    if isinstance(model, DistributedDataParallel):
        return model, model.module
    if count() == 1:
        return model, model
    from torch.distributed.fsdp import FSDPModule

    if isinstance(model, FSDPModule):
        return model, model
    return DistributedDataParallel(model), model


def check(loader: Any) -> None:
    """ValueError for batches whose order differs from process to process."""
    sampler = getattr(loader, "sampler", None)
    if count() > 1 and isinstance(loader, DataLoader) and isinstance(sampler, RandomSampler) and sampler.generator is None:
        hint = "give it a DistributedSampler, or generator=torch.Generator().manual_seed(0), the same everywhere"
        raise ValueError(f"fit: a DataLoader that shuffles by torch's global generator differs between the processes: {hint}")


def start_epoch(loader: Any, epoch: int, seed: int) -> None:
    """A new order for a DistributedSampler; and for all processes but the first other random numbers, for dropout."""
    if isinstance(sampler := getattr(loader, "sampler", None), DistributedSampler):
        sampler.set_epoch(epoch)
    if rank() > 0:
        torch.manual_seed((seed * 1_000_003 + epoch) * count() + rank())


def share(loader: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, float, int]:
    """This process's rows of a batch x (N, ...), y (N, ...); what their mean counts in that of all processes; and N.

    A DistributedSampler has made the shares already. A process for which no row is left takes one that counts nothing.
    """
    if count() == 1:
        return x, y, 1.0, len(y)
    if isinstance(getattr(loader, "sampler", None), DistributedSampler):
        return x, y, 1.0, len(y) * count()
    first, last = (place * len(y) // count() for place in (rank(), rank() + 1))
    mine = slice(first, last) if last > first else slice(0, 1)
    return x[mine], y[mine], (last - first) * count() / len(y), len(y)


def mean(number: float, device: torch.device) -> float:
    """The mean of a number over the processes."""
    if count() == 1:
        return number
    total = torch.tensor(number, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.item() / count()


def agree(model: Module) -> None:
    """Give every process the first one's buffers: batch_norm's averages, of which each has seen its own share."""
    if count() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)


def of_the_first(results: dict[str, float], device: torch.device) -> dict[str, float]:
    """The first process's results for all: machines may round differently, and no process may stop alone."""
    if count() == 1:
        return results
    values = torch.tensor([*results.values()], dtype=torch.float64, device=device)
    dist.broadcast(values, 0)
    return dict(zip(results, values.tolist(), strict=True))


def whole(state: Any) -> Any:
    """A state_dict with its split tensors put together."""
    return tree_map_only(Tensor, lambda tensor: tensor.full_tensor() if _is_split(tensor) else tensor, state)


def split(state: dict[str, Any], thing: Any) -> dict[str, Any]:
    """The state_dict that `whole` made, its tensors split as those of the model or optimizer that will load it."""
    if isinstance(thing, Optimizer):
        parameters = dict(enumerate(p for group in thing.param_groups for p in group["params"]))
        slots = {key: {name: _like(v, parameters.get(key)) for name, v in slot.items()} for key, slot in state["state"].items()}
        return state | {"state": slots}
    own = thing.state_dict()
    return {name: _like(value, own.get(name)) for name, value in state.items()}


def _like(value: Any, own: Any) -> Any:
    if _is_split(own) and isinstance(value, Tensor) and value.shape == own.shape:
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(value.to(own.device), own.device_mesh, own.placements, src_data_rank=None)
    return value


def _is_split(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor")  # a DTensor

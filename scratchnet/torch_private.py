"""What torch keeps private and this package cannot do without: the file to look at when a new torch breaks something."""

from __future__ import annotations

import gc

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.autograd import forward_ad

__all__ = [
    "FakeTensor",
    "FunctionalTensor",
    "any_requires_grad",
    "batched",
    "below_autograd",
    "channels_last",
    "forget_meshes",
    "goes_on_to",
    "mapping",
    "one_graph",
    "recording",
    "tracing",
    "transforming",
]

below_autograd = torch._C._AutoDispatchBelowAutograd  # a context in which operators skip their autograd kernels
any_requires_grad = torch._C._any_requires_grad  # of tensors, subclasses included
mapping = torch._C._are_functorch_transforms_active  # by torch.func: a tensor then may hold no numbers of its own


def transforming() -> bool:
    """Whether a torch.func transform or forward-mode AD is active."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def tracing() -> bool:
    """Whether torch.jit.trace records."""
    return not torch.compiler.is_compiling() and torch._C._is_tracing()


def one_graph() -> bool:
    """Whether what torch.compile traces just now has to be a single graph."""
    from torch._dynamo.symbolic_convert import InstructionTranslator  # there, since it traces

    frame = InstructionTranslator.current_tx()
    return frame.one_graph or frame.error_on_graph_break


def recording() -> bool:
    """Whether torch.compile, torch.export or torch.jit.trace records, a torch.func transform or forward-mode AD is active."""
    return (  # not by calling the functions above: half of the time would go into the calls
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._is_tracing()
    )


def batched(grad: Tensor) -> bool:
    """Whether a vmap, new or old, may be active on `grad`: it cannot write a batch in place into an unbatched tensor."""
    return transforming() or torch._C._functorch.is_legacy_batchedtensor(grad)


_will_run, _pass = torch._C._will_engine_execute_node, torch._C._current_graph_task_id
_returns_leaves = -1  # the last backward pass that was found to return the gradient of a leaf


def goes_on_to(functions: tuple) -> list[bool] | None:
    """Which of these next functions of a node, the last one first, the backward pass goes on to that calls this; None: all.

    About a leaf whose gradient torch.autograd.grad returns, torch does not answer: it raises, which takes as long as a small
    layer. So that happens once in a pass, whose other leaves then count as such too.
    """
    global _returns_leaves
    current, run = _pass(), []  # -1 where somebody calls a grad_fn outside of any pass, which makes all gradients
    functions = functions[::-1]
    if current != _returns_leaves:
        try:
            for node, _ in functions:
                if node is not None and not _will_run(node):
                    break
            else:
                return None  # so ends almost every pass: the list below would take twice as long
        except RuntimeError:
            _returns_leaves = current
    for node, _ in functions:
        try:
            if node is not None:  # of a tensor that requires no gradient
                run.append(current == _returns_leaves and not node.next_functions or _will_run(node))
        except RuntimeError:
            _returns_leaves = current
            run.append(True)
    return run if any(run) else None  # a pass of torch.distributed.autograd denies every node


def forget_meshes() -> None:
    """Let every DeviceMesh forget its groups: torch's tables of sharded operators keep the meshes until Python ends."""
    from torch.distributed.device_mesh import DeviceMesh  # on first use: importing it takes a while

    for mesh in [thing for thing in gc.get_objects() if DeviceMesh in type(thing).__mro__]:  # isinstance asks what warns
        mesh._pg_registry.clear()


def channels_last(x: Tensor) -> bool:
    """Whether torch takes x (N, C, H, W) or (N, C, D, H, W) for images with their channels last, and returns such.

    is_contiguous(memory_format=...) cannot tell where C or H and W are 1; this is the rule of c10/core/MemoryFormat.h.
    """
    rank = x.dim()
    if rank not in (4, 5):
        return False
    sizes, strides = x.shape, x.stride()
    if not 0 < strides[1] <= strides[-1]:
        return False
    least = 0
    for axis in (1, *range(rank - 1, 1, -1), 0):
        if sizes[axis] == 0 or strides[axis] < least or axis == 0 and least == strides[1]:
            return False
        least = strides[axis] * sizes[axis]
    return True

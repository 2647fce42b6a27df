"""The user-level primitives: argument checks, the torch.autograd.Functions and the way to the kernels; one file a primitive.

All of them come with the first one, so that `torch.ops.scratchnet` has every operator of the registry.
"""

from importlib import import_module

from scratchnet.ops import OPS

for room in dict.fromkeys(op.room for op in OPS.values()):
    import_module(f"{__name__}.{room}")

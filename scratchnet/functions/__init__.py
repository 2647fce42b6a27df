"""The user-level primitives: argument checks, the torch.autograd.Functions and the way to the kernels; one file a primitive.

All of them come with the first one, so that `torch.ops.scratchnet` has every operator of scratchnet.ops.
"""

from importlib import import_module

from scratchnet.ops import FILES

for file in dict.fromkeys(FILES.values()):
    import_module(f"{__name__}.{file}")

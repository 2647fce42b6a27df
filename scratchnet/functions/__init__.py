"""The user-level primitives, one file each: the torch.autograd.Functions, and the functions that lead to the kernels.

Importing one imports them all, so that `torch.ops.scratchnet` has every operator of scratchnet.ops.
"""

from importlib import import_module

from scratchnet.ops import FILES

for file in dict.fromkeys(FILES.values()):
    import_module(f"{__name__}.{file}")

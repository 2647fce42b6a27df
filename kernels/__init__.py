"""The Triton column: one file a primitive, installed as `scratchnet.kernels`."""

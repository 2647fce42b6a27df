"""The user-level primitives: argument checks, the torch.autograd.Functions and the way to the kernels; one file a primitive."""

"""Triton kernels: one file a primitive, each with `<op>_forward` and `<op>_backward` under the registry's signatures."""

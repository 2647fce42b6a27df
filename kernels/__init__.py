"""Triton kernels: a folder per primitive, a file per rung, with `<op>_forward` and `<op>_backward` as the Op describes them.

A rung's file has the word with which its idea begins in scratchnet/ops. What several rungs share lies beside the folders.
"""

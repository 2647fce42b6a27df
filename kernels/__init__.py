"""Triton kernels: one file a primitive, each with `<op>_forward` and `<op>_backward` under the registry's signatures.

linear_cross_entropy has a file of its own; what several share is in launch, column_sums, online_softmax and class_targets.
"""

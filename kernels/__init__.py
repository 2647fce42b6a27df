"""Triton kernels: one file a primitive, each with `<op>_forward` and `<op>_backward` with the arguments that its Op names.

linear_cross_entropy has a file of its own; what several share is in launch, column_sums, online_softmax and class_targets.
"""

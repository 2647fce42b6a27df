"""Dropout, with or without a residual, in Triton."""

"""Soft clipping in Triton."""

"""Gather and embedding in Triton."""

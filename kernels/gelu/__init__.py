"""GELU and bias + GELU in Triton."""

"""GELU, bias + GELU and GEGLU in Triton."""

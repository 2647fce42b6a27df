"""Gated units in Triton: silu, quick_gelu and squared_relu, glu, geglu and gated."""

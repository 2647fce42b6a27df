"""LayerNorm, RMSNorm, and residual + LayerNorm in Triton."""

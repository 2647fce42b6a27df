"""Attention: scaled_dot_product_attention in Triton."""

"""Matrix products and linear layers in Triton."""

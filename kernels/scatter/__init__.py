"""scatter_add and index_add in Triton."""

"""embedding_bag in Triton."""

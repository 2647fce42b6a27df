"""Cross-entropy, the softmax family, and linear + cross-entropy in Triton."""

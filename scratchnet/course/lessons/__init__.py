"""Thirty-three lessons, one percent-format script each: `scratchnet learn` runs them, notebooks open them."""

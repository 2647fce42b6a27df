"""Wrong calls of soft_clip."""

from wrong import I64, Wrong, x

WRONG = [
    Wrong("soft_clip", (x(3),), "limit", "must be positive, got 0", {"limit": 0}, error=ValueError),
    Wrong("soft_clip", (x(3, dtype=I64),), "input", "Long | .float()", error=NotImplementedError),
]

"""Real data that needs no download."""

from scratchnet.data.digits import Split, digits

__all__ = ["Split", "digits"]

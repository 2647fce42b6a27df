"""What torch.compile calls outside its graphs. Imported while it traces one: importing the compiler takes as long as torch."""

from __future__ import annotations

import torch

from scratchnet.accelerate.head import later
from scratchnet.torch_private import one_graph

later_outside = torch.compiler.disable(later, reason="the logits are made when they are read")


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def may_leave() -> bool:
    """Whether the graph that is being traced may end here and another go on: not with fullgraph=True, nor in torch.export."""
    return not one_graph()

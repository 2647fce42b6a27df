"""What torch.compile calls outside its graphs. Imported while it traces one: importing the compiler takes as long as torch."""

from __future__ import annotations

import torch

from scratchnet.accelerate.head import Logits, later
from scratchnet.torch_private import one_graph

later_outside = torch.compiler.disable(later, reason="the logits are made when they are read")

# of logits that came from there: a tensor without memory is nothing that a graph can hold
for _name in ("numbers", "then", "cross_entropy"):
    setattr(Logits, _name, torch.compiler.disable(getattr(Logits, _name), reason="logits wait outside"))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def may_leave() -> bool:
    """Whether the graph that is being traced may end here and another go on: not with fullgraph=True, nor in torch.export."""
    return not one_graph()

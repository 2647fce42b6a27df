"""Under torch.autocast every operator gives torch's dtypes and, within their precision, torch's numbers."""

import pytest
import torch
from cases import EXAMPLES, case, scalar

import scratchnet


@pytest.mark.parametrize("backend", ("cpp", "torch"))
@pytest.mark.parametrize("name, example", EXAMPLES)
def test_autocast(name, example, backend):
    c = case(name, example, 17, 31, dtype=torch.float32)
    results = []
    for call in (c.ours, c.torch):
        with scratchnet.backend(backend), torch.autocast("cpu", torch.bfloat16):
            outputs = call(*(leaves := c.leaves))
            loss = scalar(lambda *_, outputs=outputs: outputs)()
        results.append((outputs, torch.autograd.grad(loss, leaves)))
    for ours, theirs in zip(*results, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            scale = b.abs().max()
            # torch's products round to bfloat16 on the way to a float32 loss, ours do not
            low = name.startswith(("linear", "recurrence")) or results[0][0][0].dtype == torch.bfloat16
            eps = torch.finfo(torch.bfloat16 if low else torch.float32).eps
            assert not (a - b).abs().max() > 4 * eps * scale

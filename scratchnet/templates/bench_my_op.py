"""my_op beside the same formula in plain torch: python bench_my_op.py"""

import torch
from my_op import my_op

from scratchnet.course import best

if __name__ == "__main__":
    for n in (2**12, 2**16, 2**20):
        x = torch.randn(n)
        ours, theirs = best(lambda x=x: my_op(x)), best(lambda x=x: x * torch.sigmoid(x))
        print(f"{n:8} elements: {ours:.3f} ms, {2 * x.nbytes / ours / 1e6:.1f} GB/s; torch's time / ours: {theirs / ours:.2f}")

import torch


def forward(x, shape, weight=None, eps=None):
    """Rounded to the dtype of x before the weight, and again after it, as many models do."""
    axes, eps = tuple(range(-len(shape), 0)), torch.finfo(x.dtype).eps if eps is None else eps
    wide = x.float() if x.dtype.itemsize == 2 else x
    r = (wide.square().mean(axes, keepdim=True) + eps).rsqrt()
    h = (wide * r).to(x.dtype)
    return h if weight is None else h * weight

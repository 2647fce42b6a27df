import torch


def wide(t):
    return t.float() if t.dtype.itemsize == 2 else t


def softmax(x, dim):
    if not x.numel():
        return x.clone()
    e = torch.exp(wide(x) - wide(x).amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)


def forward(x, dim):
    return softmax(x, dim).to(x.dtype)


def backward(grad, x, dim):
    y, g = softmax(x, dim), wide(grad)
    return (y * (g - (g * y).sum(dim, keepdim=True))).to(x.dtype)

import torch


def forward(x):
    return x / (1 + torch.exp(-x))


def backward(grad, x):
    s = torch.sigmoid(x)
    return grad * s * (1 + x * (1 - s))

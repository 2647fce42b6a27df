"""Right answers to exercise 21, each in a style of its own."""

import math

import torch


def gelu__erfc(x):
    """With the complement of erf, which keeps digits far left."""
    return 0.5 * x * torch.special.erfc(-x / 2**0.5)


def gelu__multiplied_out(x):
    """Two terms; 1 / sqrt(2) as a constant."""
    return 0.5 * x + 0.5 * x * torch.erf(x * 0.7071067811865476)


def gelu__normal(x):
    """torch's normal distribution."""
    return x * torch.distributions.Normal(0.0, 1.0).cdf(x)


def gelu_slope__normal(x):
    """Phi and phi from torch's normal distribution."""
    bell = torch.distributions.Normal(torch.tensor(0.0, dtype=x.dtype), torch.tensor(1.0, dtype=x.dtype))
    return bell.cdf(x) + x * bell.log_prob(x).exp()


def gelu_slope__erf(x):
    """Everything in one line, with erf."""
    return (1 + torch.erf(x / math.sqrt(2))) / 2 + x * torch.exp(-(x**2) / 2) / (2 * math.pi) ** 0.5


def gelu_slope__entry_by_entry(x):
    """Python's math for each entry."""
    slope = lambda v: 0.5 * math.erfc(-v / math.sqrt(2)) + v * math.exp(-0.5 * v * v) / math.sqrt(2 * math.pi)
    return torch.tensor([slope(v) for v in x.tolist()], dtype=x.dtype)


def tanh_gelu_slope__cosh(x):
    """1 / cosh^2 in place of 1 - tanh^2."""
    k = math.sqrt(2 / math.pi)
    u = k * (x + 0.044715 * x.pow(3))
    return 0.5 * (1 + u.tanh()) + 0.5 * x * k * (1 + 3 * 0.044715 * x.pow(2)) / u.cosh().square()


def tanh_gelu_slope__sigmoid(x):
    """(1 + tanh(u)) / 2 is sigmoid(2 u)."""
    k = (2 / math.pi) ** 0.5
    s = torch.sigmoid(2 * k * (x + 0.044715 * x * x * x))
    return s + x * s * (1 - s) * 2 * k * (1 + 0.134145 * x * x)


def tanh_gelu_slope__factored(x):
    """Halved at the end."""
    k = math.sqrt(2 / math.pi)
    t = torch.tanh(k * (x + 0.044715 * x**3))
    return ((1 + t) + x * (1 - t**2) * (k + 3 * k * 0.044715 * x**2)) / 2


def dead_share__largest(z):
    """The largest number of each unit."""
    return float((z.max(dim=0).values <= 0).sum()) / z.shape[1]


def dead_share__relu(z):
    """What comes out of the ReLU sums to 0."""
    return torch.mean((torch.relu(z).sum(dim=0) == 0).float()).item()


def dead_share__loop(z):
    """Unit by unit."""
    dead = 0
    for unit in z.T:
        if not (unit > 0).any():
            dead += 1
    return dead / len(z.T)

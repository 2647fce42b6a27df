import torch

PIECES = 3  # of 8 bits each: together the 24 bits of a float32


def pieces(x):
    found = []
    for _ in range(PIECES):
        found.append(x.to(torch.bfloat16).to(x.dtype))
        x = x - found[-1]
    return found


def splits(x):
    return x.dtype == torch.float32 and bool(((x == 0) | (x.abs() > 1e-30) & (x.abs() < 1e30)).all())


def product(a, b):
    if not (splits(a) and splits(b)):
        return torch.einsum("...mk,...kn->...mn", a, b)
    pairs = [(p, q) for i, p in enumerate(pieces(a)) for j, q in enumerate(pieces(b)) if i + j < PIECES]
    return sum(torch.einsum("...mk,...kn->...mn", p, q) for p, q in reversed(pairs))


def forward(a, b):
    return product(a, b)


def backward(grad, a, b):
    return product(grad, b.mT), product(a.mT, grad)

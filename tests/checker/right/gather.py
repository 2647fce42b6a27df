import numpy as np


def places(x, dim, index):
    if index.size and not 0 <= index.min() <= index.max() < x.shape[dim]:
        raise IndexError("an index is out of range")
    place = list(np.indices(index.shape))
    place[dim] = index
    return tuple(place)


def forward(x, dim, index):
    return x[places(x, dim, index)]


def backward(grad, x, dim, index):
    dx = np.zeros_like(x)
    np.add.at(dx, places(x, dim, index), grad)
    return dx

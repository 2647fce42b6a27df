import numpy as np


def forward(index, weight):
    if index.size and not 0 <= index.min() <= index.max() < len(weight):
        raise IndexError("an index is out of range")
    return weight[index]


def backward(grad, index, weight):
    forward(index, weight)
    dweight = np.zeros_like(weight)
    np.add.at(dweight, index, grad)
    return dweight

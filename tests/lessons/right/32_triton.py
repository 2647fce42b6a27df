"""Right answers to exercise 32, in other styles than ours."""

import math

import torch


def programs__negative(n, block):
    """floor division of the negative"""
    return -(-n // block)


def programs__ceil(n, block):
    """math.ceil"""
    return math.ceil(n / block)


def programs__divmod(n, block):
    """whole blocks, and one more for what is left"""
    whole, left = divmod(n, block)
    return whole + (left > 0)


def places__range(program, block, n):
    """arange from the beginning to the end"""
    places = torch.arange(program * block, (program + 1) * block)
    return places, places.lt(n)


def places__list(program, block, n):
    """a list of numbers"""
    places = [program * block + i for i in range(block)]
    return torch.tensor(places), torch.tensor([p < n for p in places])


def places__table(program, block, n):
    """a row of a table of all places"""
    places = torch.arange((program + 1) * block).view(-1, block)[program]
    return places, n > places


def addresses__unsqueeze(i, j, strides):
    """unsqueeze"""
    down, right = strides
    return (i * down).unsqueeze(1) + (j * right).unsqueeze(0)


def addresses__meshgrid(i, j, strides):
    """meshgrid"""
    rows, columns = torch.meshgrid(i, j, indexing="ij")
    return rows * strides[0] + columns * strides[1]


def addresses__outer(i, j, strides):
    """row by row"""
    return torch.stack([row * strides[0] + j * strides[1] for row in i])


def bytes_loaded__each_matrix(M, K, N, block):
    """a once for each column of programs, b once for each row of them"""
    return 4 * (M * K * (N // block) + K * N * (M // block))


def bytes_loaded__per_product(M, K, N, block):
    """two loads for each product, divided by the block"""
    return 2 * 4 * M * K * N // block


def bytes_loaded__loops(M, K, N, block):
    """counted in loops"""
    return sum(2 * 4 * block**2 for _ in range(0, M, block) for _ in range(0, N, block) for _ in range(0, K, block))

"""Wrong answers to exercise 32, each with words of what it must be told."""

import torch


def programs__at_least_one(n, block):
    """no numbers: yours is 1; it should be 0"""
    return max(1, -(-n // block))


def places__lists(program, block, n):
    """it should be a tensor"""
    where = list(range(program * block, program * block + block))
    return where, [place < n for place in where]


def places__mask_of_the_block(program, block, n):
    """the mask of program 2"""
    where = program * block + torch.arange(block)
    return where, torch.arange(block) < n


def bytes_loaded__in_doubles(M, K, N, block):
    """32 x 32 x 32 in tiles of 16: yours is 32768; it should be 16384"""
    return M * N * K // block * 2 * 8

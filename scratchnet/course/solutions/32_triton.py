"""Exercise 32: rounded up, masked, broadcast to a table, and counted tile by tile."""

import torch

from scratchnet.course import drawn, task


@task(
    facts=lambda programs: {
        "10 numbers in blocks of 4": programs(10, 4),
        "8 numbers in blocks of 4": programs(8, 4),
        "1 number in blocks of 1024": programs(1, 1024),
        "no numbers": programs(0, 4),
    },
    hints=(
        "n / block, rounded up: a part of a block needs a program too.",
        "-(-n // block), or (n + block - 1) // block, in whole numbers. triton.cdiv does it.",
        "return (n + block - 1) // block",
    ),
)
def programs(n, block):
    return (n + block - 1) // block


@programs.mistake
def rounded_down(n, block):
    """Rounded down: the last numbers, which do not fill a block, are left to nobody."""
    return n // block


@programs.mistake
def always_one_more(n, block):
    """One too many where n is a multiple of the block, and one for no numbers: add block - 1 before you divide, not 1 after."""
    return n // block + 1


@programs.mistake
def not_whole(n, block):
    """That is no whole number: a grid is made of programs. Divide with // after adding block - 1."""
    return n / block


def placed(places):
    results = {}
    for program, block, n in ((0, 4, 10), (2, 4, 10), (3, 4, 10)):
        where, mask = places(program, block, n)
        results[f"the places of program {program}, blocks of {block}, n = {n}"] = where
        results[f"the mask of program {program}"] = mask
    return results


@task(
    facts=placed,
    hints=(
        "Program p begins where p full blocks before it end.",
        "torch.arange(block) is 0, 1, ... block - 1; a comparison of a tensor gives a tensor of bool.",
        "places = program * block + torch.arange(block), and: places < n",
    ),
)
def places(program, block, n):
    where = program * block + torch.arange(block)
    return where, where < n


@places.mistake
def without_the_block(program, block, n):
    """Program 1 begins at place 1: it would do most of program 0's work again. It begins at program * block."""
    where = program + torch.arange(block)
    return where, where < n


@places.mistake
def one_place_too_many(program, block, n):
    """Place n is in the mask, and the last place that exists is n - 1: compare with <."""
    where = program * block + torch.arange(block)
    return where, where <= n


@places.mistake
def cut_off(program, block, n):
    """The places that do not exist are cut off. A block has a fixed size, a power of two: they stay, and the mask says no."""
    where = torch.arange(min(program * block, n), min(program * block + block, n))
    return where, where < n


def addressed(addresses):
    i, j = drawn(torch.tensor([0, 2, 3])), drawn(torch.tensor([1, 4]))
    return {
        "a contiguous table of 10 columns": addresses(i, j, (10, 1)),
        "the same table transposed": addresses(i, j, (1, 10)),
        "every second column of 20": addresses(i, j, (20, 2)),
    }


@task(
    facts=addressed,
    hints=(
        "The place of (i, j) is i times the step down plus j times the step to the right; all pairs at once are a table.",
        "i[:, None] is a column, j[None, :] a row; their sum is broadcast to (R, C).",
        "return i[:, None] * strides[0] + j[None, :] * strides[1]",
    ),
)
def addresses(i, j, strides):
    return i[:, None] * strides[0] + j[None, :] * strides[1]


@addresses.mistake
def strides_swapped(i, j, strides):
    """The strides are swapped: a step down is strides[0], a step to the right strides[1]."""
    return i[:, None] * strides[1] + j[None, :] * strides[0]


@addresses.mistake
def contiguous_only(i, j, strides):
    """The step to the right is taken to be 1. It is strides[1]: in a transposed table it is large."""
    return i[:, None] * strides[0] + j[None, :]


@addresses.mistake
def table_on_its_side(i, j, strides):
    """The table lies on its side, (C, R): i belongs to the rows, i[:, None], and j to the columns, j[None, :]."""
    return i[None, :] * strides[0] + j[:, None] * strides[1]


@task(
    facts=lambda bytes_loaded: {
        "32 x 32 x 32 in tiles of 16": bytes_loaded(32, 32, 32, 16),
        "one tile": bytes_loaded(16, 16, 16, 16),
        "64 x 16 x 32 in tiles of 16": bytes_loaded(64, 16, 32, 16),
        "tiles of one number": bytes_loaded(4, 4, 4, 1),
    },
    hints=(
        "Count one program first: how many steps along K, and what it loads in each. Then the programs.",
        "(M / block) (N / block) programs, K / block steps, two tiles of block x block numbers in each, 4 bytes a number.",
        "return (M // block) * (N // block) * (K // block) * 2 * block * block * 4",
    ),
)
def bytes_loaded(M, K, N, block):
    return (M // block) * (N // block) * (K // block) * 2 * block * block * 4


@bytes_loaded.mistake
def each_matrix_once(M, K, N, block):
    """That is each matrix once. Every row of programs reads b again, and every column of them a."""
    return (M * K + K * N) * 4


@bytes_loaded.mistake
def numbers_not_bytes(M, K, N, block):
    """That counts numbers. A float32 has 4 bytes."""
    return bytes_loaded(M, K, N, block) // 4


@bytes_loaded.mistake
def without_tiles(M, K, N, block):
    """That is two loads for every product, as without tiles: a tile that was loaded serves `block` rows or columns."""
    return M * K * N * 2 * 4 + 0 * block if block > 1 else bytes_loaded(M, K, N, block)


@bytes_loaded.mistake
def one_matrix(M, K, N, block):
    """Only one of the two matrices is counted: each step loads a tile of a and a tile of b."""
    return bytes_loaded(M, K, N, block) // 2

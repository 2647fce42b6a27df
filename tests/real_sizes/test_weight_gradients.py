"""The weight gradient of Linear at every width from 200 to 4,200 and at real vocabularies, on many threads, by value.

All numbers are small integers: every sum is exact in float32, so that the right answer is known to the last bit. The gradient
of one row of the weight does not depend on the other rows: one exact product serves all widths.
"""

import pytest
import torch

import scratchnet

THREADS = (1, 2, 3, 4, 6, 8, 12, 16)
VOCABULARIES = (28996, 30522, 32000, 32128, 50257, 50265, 50304, 51865, 128256, 151936, 256000)
TOKENS, WIDTH = 128, 96


def integers(*shape):
    return torch.randint(-8, 9, shape, dtype=torch.float32)


def rows_that_differ(outputs, x, grad, exact):
    """Which rows of the weight's gradient are wrong, by autograd through the default Linear."""
    weight = torch.zeros(outputs, x.shape[1], requires_grad=True)
    with scratchnet.backend("cpp"):
        scratchnet.linear(x, weight).backward(grad[:, :outputs])
    return (weight.grad != exact[:outputs]).any(1).nonzero().flatten().tolist()


def wrong(sizes, x, grad, exact, threads_of):
    found = {}
    for outputs in sizes:
        for threads in threads_of(outputs):
            torch.set_num_threads(threads)
            if rows := rows_that_differ(outputs, x, grad, exact):
                found[outputs, threads] = (rows[0], rows[-1])
    return found


@pytest.fixture(scope="module")
def narrow():
    x, grad = integers(TOKENS, WIDTH), integers(TOKENS, 4200)
    return x, grad, (grad.double().T @ x.double()).float()


@pytest.mark.full
def test_every_width(narrow):
    """Each with one of the numbers of threads: blocks that do not fit show at 2 to 9 % of all widths."""
    assert wrong(range(200, 4201), *narrow, lambda outputs: [THREADS[outputs % len(THREADS)]]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("threads", THREADS)
def test_every_width_on_every_number_of_threads(narrow, threads):
    assert wrong(range(200, 4201), *narrow, lambda outputs: [threads]) == {}


@pytest.mark.parametrize("outputs", VOCABULARIES)
def test_vocabularies(outputs):
    x, grad = integers(TOKENS, WIDTH), integers(TOKENS, outputs)
    exact = (grad.double().T @ x.double()).float()
    assert wrong([outputs], x, grad, exact, lambda _: THREADS) == {}

"""Every operator under eager autograd: gradients, double backward, only where needed, any incoming gradient, checkpointing."""

import pytest
import torch
from cases import EXAMPLES, NOT_THE_DERIVATIVE, case, scalar
from torch.utils.checkpoint import checkpoint

import scratchnet


@pytest.fixture(autouse=True)
def cpp():
    """Otherwise small tensors would take torch's own functions."""
    with scratchnet.backend("cpp"):
        yield


BACKENDS = ("cpp", "cpp:1", "numpy", "reference")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name, example", [case for case in EXAMPLES if case not in NOT_THE_DERIVATIVE])
def test_gradcheck(name, example, backend):
    c = case(name, example)
    with scratchnet.backend(backend):
        assert torch.autograd.gradcheck(c.ours, c.leaves)


@pytest.mark.parametrize("backend", ("cpp", "reference"))
@pytest.mark.parametrize("name, example", EXAMPLES)
def test_double_backward(name, example, backend):
    if (name, example, backend) == ("embedding", "scale_grad_by_freq", "reference"):
        pytest.skip("torch.embedding, which is that column, forgets the frequencies in its second derivative")
    c = case(name, example)
    with scratchnet.backend(backend):
        assert torch.autograd.gradgradcheck(c.ours, c.leaves)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_forward_mode(name, example):
    c = case(name, example)
    assert torch.autograd.gradcheck(c.ours, c.leaves, check_forward_ad=True, check_backward_ad=False)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_gradients_only_where_needed(name, example):
    c = case(name, example)
    full = torch.autograd.grad(scalar(c.ours)(*(leaves := c.leaves)), leaves)
    for i in range(len(full)):
        leaves = [t.requires_grad_(i == j) for j, t in enumerate(c.leaves)]
        alone = torch.autograd.grad(scalar(c.ours)(*leaves), leaves[i])[0]
        torch.testing.assert_close(alone, full[i], rtol=0, atol=0)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_expanded_incoming_gradient(name, example):
    """`.sum().backward()` hands the operator a gradient of stride 0."""
    c = case(name, example)
    leaves = c.leaves
    sum(y.sum() for y in c.ours(*leaves)).backward()
    expected = c.leaves
    sum(y.sum() for y in c.torch(*expected)).backward()
    for ours, theirs in zip(leaves, expected, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_checkpoint(name, example):
    c = case(name, example)
    expected = torch.autograd.grad(scalar(c.torch)(*(leaves := c.leaves)), leaves)
    for reentrant in (True, False):
        leaves = c.leaves
        scalar(lambda *leaves, r=reentrant: checkpoint(c.ours, *leaves, use_reentrant=r))(*leaves).backward()
        torch.testing.assert_close(tuple(t.grad for t in leaves), expected)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_inference_and_no_grad_give_the_same_bits(name, example):
    c = case(name, example)
    expected = [y.detach() for y in c.ours(*c.leaves)]
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            for ours, theirs in zip(c.ours(*c.leaves), expected, strict=True):
                assert not ours.requires_grad
                torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_backward_runs_on_the_backend_of_its_forward(name, example):
    c = case(name, example)
    leaves = c.leaves
    with scratchnet.backend("numpy"):
        loss = scalar(c.ours)(*leaves)
    with scratchnet.backend("cpp:1"):
        gradients = torch.autograd.grad(loss, leaves)
    with scratchnet.backend("numpy"):
        expected = torch.autograd.grad(scalar(c.ours)(*(leaves := c.leaves)), leaves)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=0)

"""Every operator under eager autograd: gradients, double backward, only where needed, any incoming gradient, checkpointing."""

import pytest
import torch
from cases import EXAMPLES, NOT_THE_DERIVATIVE, case, scalar
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import scratchnet
import scratchnet.nn.functional as F
from scratchnet.accelerate.head import later


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


class Kernels(TorchDispatchMode):
    """What runs inside of it: operators with their flags, such as `need_weight`."""

    def __init__(self):
        super().__init__()
        self.ran = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator is not torch.ops.aten.detach.default:  # of the gradient, where it becomes a leaf's
            self.ran.append((str(operator), [value for value in args if isinstance(value, bool)]))
        return operator(*args, **kwargs or {})


def grad(loss, leaf):
    return torch.autograd.grad(loss, leaf)[0]


def backward(loss, leaf):
    loss.backward(inputs=[leaf])
    return leaf.grad


def ask(call, leaves, leaf, how):
    """The gradient of one leaf, and the kernels that its backward pass runs."""
    loss = call(*leaves)
    with Kernels() as kernels:
        gradient = how(loss, leaf)
    return gradient, kernels.ran


def assert_no_other_gradient_is_made(call, made):
    """A backward pass for one of the leaves that `made` returns runs what it would if no other required a gradient."""
    full = torch.autograd.grad(call(*(leaves := made())), leaves)
    for i, expected in enumerate(full):
        hidden = [t.clone() for t in made()]
        a_leaf = [t if i == j else t.clone() for j, t in enumerate(made())]
        for leaves, how in ((made(), backward), (hidden, grad), (a_leaf, grad)):
            gradient, ran = ask(call, leaves, leaves[i], how)
            others = [t.requires_grad_(i == j) for j, t in enumerate(made())]
            assert ran == ask(call, others, others[i], how)[1]
            torch.testing.assert_close(gradient, expected, rtol=0, atol=0)
        gradient, _ = ask(call, leaves := made(), leaves[i], grad)  # among leaves alone, torch may not say which are asked for
        torch.testing.assert_close(gradient, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_gradients_only_where_asked_for(name, example):
    c = case(name, example)
    assert_no_other_gradient_is_made(scalar(c.ours), lambda: c.leaves)


LOSSES = {
    "elementwise": lambda x, w, b: F.mse_loss(x, b),
    "rows": lambda x, w, b: F.linear_cross_entropy(x, w, CLASSES, linear_bias=b[0], z_loss=0.1, reduction="none").cos().sum(),
    "waiting logits": lambda x, w, b: later(x, w, b[0]).cos().sum(),
}
CLASSES = torch.tensor([2, 0, 3, 3])


@pytest.mark.parametrize("call", LOSSES.values(), ids=LOSSES)
def test_losses_make_gradients_only_where_asked_for(call):
    def made():
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(4, 4, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(3)]

    assert_no_other_gradient_is_made(lambda *leaves: call(*leaves) + sum(leaf.sum() for leaf in leaves), made)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_second_derivatives_of_a_gradient_asked_for_alone(name, example):
    """A gradient penalty: of the first input's gradient, the gradients of all."""

    def penalty(call, leaves):
        gradient = torch.autograd.grad(scalar(call)(*leaves), leaves[0], create_graph=True)[0]
        return torch.autograd.grad(gradient.square().sum() + 0 * sum(leaf.sum() for leaf in leaves), leaves)

    c = case(name, example)
    torch.testing.assert_close(penalty(c.ours, c.leaves), penalty(c.transformable, c.leaves))


def test_compiled_autograd():
    """torch.compile of a backward pass: while it is traced, no pass runs that could be asked what it needs."""
    from torch._dynamo import compiled_autograd  # takes a while

    x, w, grad = (torch.randn(3, 3, dtype=torch.float64, requires_grad=i < 2) for i in range(3))
    expected = torch.autograd.grad(scratchnet.matmul(x, w), (x, w), grad)  # the kernel is looked up here, not in the graph
    with compiled_autograd._enable(torch.compile(backend="aot_eager", fullgraph=True)):
        scratchnet.matmul(x, w).backward(grad)
    torch.testing.assert_close((x.grad, w.grad), expected)


def test_a_node_called_by_hand_makes_all_gradients():
    """No backward pass runs then that could be asked what it needs."""
    x, w, grad = (torch.randn(3, 3, dtype=torch.float64, requires_grad=i < 2) for i in range(3))
    _, *gradients = scratchnet.matmul(x, w).grad_fn.apply(grad)
    torch.testing.assert_close(gradients, [grad @ w.T, x.T @ grad])


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

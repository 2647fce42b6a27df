"""Tensors that no kernel knows take torch's own function: for every operator, as any argument, and at any size."""

import pytest
import torch
import torch.nn.functional as TF
from cases import case
from torch.testing import assert_close

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import nn
from scratchnet.functions.dispatch import unknown
from scratchnet.ops import OPS


@pytest.fixture(autouse=True)
def cpp():
    with scratchnet.backend("cpp"):
        yield


class Foreign(torch.Tensor):
    """A tensor that holds another and knows torch's operations, not ours."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), dtype=inner.dtype, requires_grad=inner.requires_grad
        )

    def __init__(self, inner):
        self.inner = inner.detach()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        if function.namespace != "aten":
            raise NotImplementedError(f"{function} of a foreign tensor")
        strip = lambda t: t.inner if isinstance(t, Foreign) else t
        args, kwargs = torch.utils._pytree.tree_map(strip, (args, kwargs or {}))
        return torch.utils._pytree.tree_map_only(torch.Tensor, Foreign, function(*args, **kwargs))


def strip(t):
    return t.inner if isinstance(t, Foreign) else t


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("columns", [3, 300])  # small calls take torch's function anyway
def test_every_operator_with_a_foreign_tensor_in_every_place(name, columns):
    for example in OPS[name].examples:
        c = case(name, example, rows=6, columns=columns)
        for place in [*c.places, "all"]:
            leaves, own = c.leaves, c.leaves
            foreign = [Foreign(t).requires_grad_() if place in (k, "all") else t for k, t in zip(c.places, leaves, strict=True)]
            mine, wanted = c.ours(*foreign), c.torch(*own)
            if name != "recurrence":  # torch's cells write to plain tensors, in place
                assert any(isinstance(y, Foreign) for y in mine), (example, place)
            assert_close([strip(y) for y in mine], list(wanted))
            grads = torch.autograd.grad(sum(y.sum() for y in mine), foreign, allow_unused=True)
            expected = torch.autograd.grad(sum(y.sum() for y in wanted), own, allow_unused=True)
            assert_close([strip(g) for g in grads if g is not None], [g for g in expected if g is not None])


def test_by_name():
    """Our arguments have torch's names, so that a call by name goes through too."""
    x, w = torch.randn(5, 4), torch.randn(3, 4)
    assert_close(strip(F.linear(input=Foreign(x), weight=w, activation="relu")), TF.relu(TF.linear(x, w)))
    assert_close(strip(F.gelu(input=Foreign(x))), TF.gelu(x))
    assert_close(strip(F.geglu(input=Foreign(x))), x[:, :2] * TF.gelu(x[:, 2:]))
    assert_close(strip(F.bias_gelu(input=x, bias=Foreign(w[0]))), TF.gelu(x + w[0]))
    assert_close(strip(F.add_layer_norm(input=x, residual=Foreign(x), normalized_shape=(4,))[1]), TF.layer_norm(2 * x, (4,)))
    target = torch.tensor([0, 1, 2, 1, 0])
    mine = F.linear_cross_entropy(input=Foreign(x), linear_weight=w, target=target, ignore_index=1)
    assert_close(strip(mine), TF.cross_entropy(x @ w.T, target, ignore_index=1))


@pytest.mark.filterwarnings("ignore:Sparse", "ignore:.*beta state")
@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
@pytest.mark.parametrize("n", [6, 200])
def test_products_with_a_sparse_matrix(layout, n):
    torch.manual_seed(0)
    dense = torch.randn(n, n, dtype=torch.float64) * (torch.rand(n, n) < 0.3)
    sparse = getattr(dense, f"to_sparse_{layout}")()
    x = torch.randn(n, 5, dtype=torch.float64)
    assert_close(scratchnet.matmul(sparse, x), dense @ x)
    assert_close(scratchnet.mm(sparse, x), dense @ x)
    if layout != "csc":
        assert_close(F.linear(x.T, sparse), x.T @ dense.T)
    layer = nn.Linear(n, 4).double()
    assert_close(layer(dense.to_sparse_coo()), layer(dense))


def test_jagged_and_strided_nested_tensors():
    torch.manual_seed(0)
    parts, w, b = [torch.randn(n, 8) for n in (3, 5)], torch.randn(8, 8), torch.randn(8)
    call = lambda x, f: f.gelu(f.layer_norm(f.linear(x, w, b), (8,), b, b))
    for layout in (torch.jagged, torch.strided):
        nested = torch.nested.nested_tensor(parts, layout=layout)
        mine = call(nested, F)
        assert mine.is_nested
        for y, part in zip(mine.unbind(), parts, strict=True):
            assert_close(y, call(part, TF))
    ids = torch.nested.nested_tensor([torch.tensor([0, 2]), torch.tensor([1])], layout=torch.jagged)
    assert_close(nn.Embedding.from_pretrained(w)(ids).unbind()[0], w[[0, 2]])


def test_mkldnn_and_quantized_layouts():
    x = torch.randn(2, 3, 8, 8)
    assert_close(F.max_pool2d(x.to_mkldnn(), 2).to_dense(), TF.max_pool2d(x, 2))
    conv = torch.nn.Conv2d(3, 4, 3)
    assert_close(F.conv2d(x.to_mkldnn(), conv.weight, conv.bias).to_dense(), conv(x), atol=1e-5, rtol=1e-5)
    quantized = torch.quantize_per_tensor(x, 0.1, 3, torch.quint8)
    for mine, own in ((F.max_pool2d, TF.max_pool2d), (F.avg_pool2d, TF.avg_pool2d)):
        result, wanted = mine(quantized, 2), own(quantized, 2)
        assert result.dtype is torch.quint8 and torch.equal(result.int_repr(), wanted.int_repr())
    for layer in (torch.nn.LeakyReLU(), torch.nn.GELU(), torch.nn.Dropout(0.5).eval()):
        wanted = layer(quantized)
        scratchnet.accelerate(layer)
        assert torch.equal(layer(quantized).int_repr(), wanted.int_repr())


class Int8Weight(torch.Tensor):
    """A weight in 8 bits with its own linear, as quantisation libraries make them."""

    @staticmethod
    def __new__(cls, q, scale):
        return torch.Tensor._make_wrapper_subclass(cls, q.shape, dtype=scale.dtype)

    def __init__(self, q, scale):
        self.q, self.scale = q, scale

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is TF.linear:
            x, weight, *bias = args
            return TF.linear(x, weight.q.to(x.dtype) * weight.scale[:, None], *bias, **kwargs or {})
        return super().__torch_function__(function, types, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.detach.default:
            return cls(args[0].q, args[0].scale)
        raise NotImplementedError(f"{function}")


@pytest.mark.parametrize("size", [8, 96])
def test_a_weight_that_brings_its_own_linear(size):
    layer = nn.Linear(size, size)
    scale = layer.weight.detach().abs().amax(1) / 127
    q = (layer.weight.detach() / scale[:, None]).round().to(torch.int8)
    layer.weight = torch.nn.Parameter(Int8Weight(q, scale), requires_grad=False)
    x = torch.randn(size, size)
    assert_close(layer(x), TF.linear(x, q * scale[:, None], layer.bias))


def test_known_tensors_stay_with_the_kernels():
    x = torch.randn(3)
    for known in ([x, torch.nn.Parameter(x), None, 1, 2.0, "mean", (3,), torch.float32], [x.to("meta")], [x.expand(2, 3)], []):
        assert not unknown(known)
    with torch._subclasses.FakeTensorMode() as mode:
        assert not unknown([mode.from_tensor(x)])
    for strange in (Foreign(x), x.to_sparse(), x[None].to_sparse_csr(), x.to_mkldnn()):
        assert unknown([strange]) and unknown([x, 1, strange])


def test_the_check_is_traced_away():
    """torch.compile decides it while tracing: one graph, with ours for plain tensors and torch's for a subclass."""
    graphs = []

    def backend(graph, inputs):
        graphs.append([node.target for node in graph.graph.nodes if node.op == "call_function"])
        return graph

    class Plain(torch.Tensor):
        pass

    x, w = torch.randn(4, 8), torch.randn(8, 8)
    run = torch.compile(lambda x, w: F.linear(x, w), backend=backend, fullgraph=True)
    assert_close(run(x, w), x @ w.T)
    assert_close(run(x.as_subclass(Plain), w).as_subclass(torch.Tensor), x @ w.T)
    assert [str(target) for targets in graphs for target in targets][0] == "scratchnet.linear.default"
    assert not any("scratchnet" in str(target) for target in graphs[1])

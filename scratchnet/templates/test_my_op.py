"""my_op against its oracle over sizes and strides, its gradient, and torch.compile."""

from importlib.util import find_spec

import my_op_oracle as oracle
import pytest
import torch
from my_op import my_op, my_op_backward

from scratchnet.checker.compiler import find_compiler
from scratchnet.measure.verify import EMPTY, LAYOUTS, SIZES

needs_compiler = pytest.mark.skipif(not find_compiler(), reason="my_op.cpp needs a C++ compiler: install g++ or set CXX")
needs_triton = pytest.mark.skipif(not find_spec("triton"), reason="my_op_triton.py needs Triton: pip install triton")


def check(forward, backward):
    for size in (*SIZES, *EMPTY):
        for layout in LAYOUTS.values():
            grad, x = (layout(torch.randn(size)) for _ in range(2))
            wide = grad.double().numpy(), x.double().numpy()
            torch.testing.assert_close(forward(x).double().numpy(), oracle.my_op_forward(wide[1]), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(backward(grad, x).double().numpy(), oracle.my_op_backward(*wide), rtol=1e-5, atol=1e-6)


@needs_compiler
def test_cpp():
    check(my_op, my_op_backward)


@needs_triton
def test_triton():
    import my_op_triton

    check(my_op_triton.my_op_forward, my_op_triton.my_op_backward)


@needs_compiler
def test_gradient():
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(my_op, x)


@needs_compiler
def test_operator_is_well_defined():
    torch.library.opcheck(my_op, (torch.randn(3, 5, requires_grad=True),))
    torch.library.opcheck(my_op_backward, (torch.randn(3, 5), torch.randn(5, 3).mT))


@needs_compiler
def test_compile():
    x = torch.randn(3, 5, requires_grad=True)
    loss = lambda x: (my_op(2 * x) ** 2).sum()
    expected = torch.autograd.grad(loss(x), x)
    torch.testing.assert_close(torch.autograd.grad(torch.compile(loss, fullgraph=True)(x), x), expected)

import torch


def wide(t):
    return t.float() if t.dtype.itemsize == 2 else t


class LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, shape, weight, bias, eps):
        axes = tuple(range(-len(shape), 0))
        centred = wide(x) - wide(x).mean(axes, keepdim=True)
        r = (centred.square().mean(axes, keepdim=True) + eps).rsqrt()
        h = centred * r
        ctx.save_for_backward(h, r, weight)
        ctx.axes, ctx.bias = axes, bias is not None
        y = h if weight is None else h * weight
        return (y if bias is None else y + bias).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        h, r, weight = ctx.saved_tensors
        axes, dtype, grad = ctx.axes, grad.dtype, wide(grad)
        a = grad if weight is None else grad * weight
        dx = r * (a - a.mean(axes, keepdim=True) - h * (a * h).mean(axes, keepdim=True))
        batch = tuple(range(h.dim() - len(axes)))
        dweight = None if weight is None else (grad * h).sum(batch).to(dtype)
        return dx.to(dtype), None, dweight, grad.sum(batch).to(dtype) if ctx.bias else None, None


forward = LayerNorm.apply

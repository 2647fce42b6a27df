import torch


class LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, shape, weight, bias, eps):
        axes = tuple(range(-len(shape), 0))
        centred = x - x.mean(axes, keepdim=True)
        r = (centred.square().mean(axes, keepdim=True) + eps).rsqrt()
        h = centred * r
        ctx.save_for_backward(h, r, weight)
        ctx.axes, ctx.bias = axes, bias is not None
        y = h if weight is None else h * weight
        return y if bias is None else y + bias

    @staticmethod
    def backward(ctx, grad):
        h, r, weight = ctx.saved_tensors
        axes = ctx.axes
        a = grad if weight is None else grad * weight
        dx = r * (a - a.mean(axes, keepdim=True) - h * (a * h).mean(axes, keepdim=True))
        batch = tuple(range(h.dim() - len(axes)))
        dweight = None if weight is None else (grad * h).sum(batch)
        return dx, None, dweight, grad.sum(batch) if ctx.bias else None, None


forward = LayerNorm.apply

import torch


class LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, shape, weight, bias, eps):
        centred = x - x.mean(-1, keepdim=True)
        r = (centred.square().mean(-1, keepdim=True) + eps).rsqrt()
        h = centred * r
        ctx.save_for_backward(h, r, weight)
        return h * weight + bias

    @staticmethod
    def backward(ctx, grad):
        h, r, weight = ctx.saved_tensors
        a = grad * weight
        dx = r * (a - a.mean(-1, keepdim=True) - h * (a * h).mean(-1, keepdim=True))
        return dx, None, (grad * h).sum(0), grad.sum(0), None


forward = LayerNorm.apply

import torch


def forward(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    dtype, x = x.dtype, x.float() if x.dtype.itemsize == 2 else x
    logp = x - torch.logsumexp(x, 1, keepdim=True)
    w = x.new_ones(x.shape[1]) if weight is None else weight
    shape = [1, -1] + [1] * (x.dim() - 2)
    if target.is_floating_point():
        q = target * (1 - label_smoothing) + label_smoothing / x.shape[1]
        loss = -(q * logp * w.view(shape)).sum(1)
        return {"none": lambda: loss, "sum": loss.sum, "mean": lambda: loss.sum() / (loss.numel())}[reduction]().to(dtype)
    counts = target != ignore_index
    safe = target.where(counts, 0)
    own = w[safe].where(counts, 0)
    picked = -logp.gather(1, safe[:, None])[:, 0] * own
    spread = -(logp * w.view(shape)).sum(1).where(counts, 0) / x.shape[1]
    loss = (1 - label_smoothing) * picked + label_smoothing * spread if label_smoothing else picked
    if reduction == "none":
        return loss.to(dtype)
    return (loss.sum() if reduction == "sum" else loss.sum() / own.sum()).to(dtype)

import torch  # noqa: F401  tensors, please


def forward(x, target):
    return (x.logsumexp(1) - x.gather(1, target[:, None])[:, 0]).mean()

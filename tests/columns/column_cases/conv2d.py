import torch.nn.functional as F

from column_cases.case import INF, call, randn

conv2d_forward = F.conv2d
PLAIN = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}


def conv2d_calls():
    for label, x, weight, options in (
        ("3x3", (2, 3, 4, 5), (4, 3, 3, 3), {"padding": (1, 1)}),
        ("stride", (2, 2, 5, 7), (3, 2, 3, 2), {"stride": (2, 3), "padding": (0, 1)}),
        ("stride beyond the kernel", (1, 2, 7, 7), (3, 2, 2, 1), {"stride": (3, 4)}),
        ("dilation, groups", (2, 4, 6, 5), (6, 2, 2, 3), {"padding": (1, 2), "dilation": (3, 2), "groups": 2}),
        ("depthwise", (2, 3, 4, 4), (6, 1, 2, 2), {"groups": 3}),
        ("more padding than kernel", (1, 1, 2, 2), (2, 1, 2, 1), {"padding": (3, 2), "stride": (2, 1)}),
        ("1x1", (2, 3, 2, 4), (5, 3, 1, 1), {}),
        ("whole image", (2, 3, 4, 5), (5, 3, 4, 5), {}),
        ("N 0", (0, 3, 4, 5), (4, 3, 3, 3), {"padding": (1, 1)}),
    ):
        tensors = {"x": randn(*x), "weight": randn(*weight)}
        for name, bias in ((f"{label} bias", randn(weight[0])), (label, None)):
            yield call(name, smooth=0 not in x, bias=bias, **tensors, **PLAIN | options)
    x = randn(1, 1, 3, 3)
    x[0, 0, 1, 1] = INF
    for value in (x, -x, x * 0):
        yield call("inf", smooth=False, x=value, weight=randn(2, 1, 2, 2), bias=None, **PLAIN)

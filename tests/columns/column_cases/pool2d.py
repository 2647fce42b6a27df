import torch.nn.functional as F

from column_cases.case import INF, NAN, call, randn


def with_nan():
    """Images with NaN and infinities in the middle, at the edge and in a corner."""
    x = randn(2, 6, 7, seed=5)
    x[0, 1, 2] = x[0, 2, 2] = x[1, 5, 6] = NAN
    x[0, 4, 4], x[1, 0, 0] = INF, -INF
    return x


def windows():
    """(label, whether it is smooth, arguments) of a pooling; the arguments as those of max_pool2d."""
    for shape, kernel, stride, padding, dilation, ceil_mode in (
        ((3, 6, 7), (2, 2), (2, 2), (0, 0), (1, 1), False),
        ((2, 2, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), False),
        ((2, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), True),
        ((2, 5, 70), (2, 3), (1, 1), (1, 0), (1, 1), False),
        ((2, 9, 8), (2, 3), (3, 2), (0, 1), (2, 2), True),
        ((1, 7, 7), (1, 1), (3, 4), (0, 0), (1, 1), False),
        ((2, 4, 4), (4, 4), (1, 1), (2, 2), (1, 1), True),
        ((2, 3, 5), (3, 5), (3, 5), (0, 0), (1, 1), False),
        ((0, 2, 4, 4), (2, 2), (2, 2), (1, 1), (1, 1), False),
    ):
        images = [(f"{shape}", randn(*shape), 0 not in shape)]
        if shape == (2, 6, 7):
            images += [("nan", with_nan(), False), ("ties", (randn(*shape) * 2).round(), False)]
            images += [("all -inf", with_nan() * 0 - INF, False)]
        for name, x, smooth in images:
            args = {"x": x, "kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
            label = f"{name} {kernel} {stride} {padding} {dilation} {ceil_mode}"
            yield label, smooth, args | {"ceil_mode": ceil_mode}


def max_pool2d_forward(x, kernel_size, stride, padding, dilation, ceil_mode):
    return F.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def max_pool2d_calls():
    for label, smooth, args in windows():
        yield call(label, smooth, backward={"shape": tuple(args["x"].shape)}, **args)


def avg_pool2d_forward(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override or None)


def avg_pool2d_calls():
    for label, smooth, args in windows():
        if args.pop("dilation") == (1, 1):
            for count, divisor in ((True, 0), (False, 0), (True, -3)):
                options = {"count_include_pad": count, "divisor_override": divisor}
                back = {"shape": tuple(args["x"].shape)}
                yield call(f"{label} {count} {divisor}", smooth, back, **args, **options)


adaptive_avg_pool2d_forward = F.adaptive_avg_pool2d


def adaptive_avg_pool2d_calls():
    images = [(f"{shape}", randn(*shape), 0 not in shape) for shape in ((2, 3, 6, 7), (1, 9, 40), (2, 1, 1), (0, 2, 3, 3))]
    for name, x, smooth in (*images, ("nan", with_nan(), False)):
        for out in ((1, 1), (3, 7), (2, 3), (4, 5), (8, 9)):
            yield call(f"{name} {out}", smooth, backward={"shape": tuple(x.shape)}, x=x, output_size=out)

import torch.nn.functional as F

from column_cases.case import INF, NAN, call, randn, t

SPECIAL = t([[INF, 1, 2], [NAN, 1, 2], [-INF, INF, 0], [1, 2, 3], [0, 0, 0]])
SHAPES = (((4, 6), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((3, 4), 2), ((6,), 1), ((0, 3), 1), ((3, 0), 1), ((3, 2, 0), 2))
NOT_EMPTY = [(shape, ndim) for shape, ndim in SHAPES if shape[-1]]  # torch leaves the mean of an empty row undefined


def layer_norm_forward(x, weight, bias, ndim, eps):
    dims = tuple(range(-ndim, 0))
    mean = x.mean(dims, keepdim=True)
    var = (x - mean).square().mean(dims, keepdim=True)
    return F.layer_norm(x, x.shape[-ndim:], weight, bias, eps), mean, (var + eps).rsqrt()


def layer_norm_calls():
    for shape, ndim in NOT_EMPTY:
        for affine, weight, bias in affines(shape, ndim):
            args = {"x": randn(*shape), "weight": weight, "bias": bias, "ndim": ndim, "eps": 1e-5}
            yield call(f"{shape} {ndim} {affine}", smooth=0 not in shape, **args)
    yield call("special", smooth=False, x=SPECIAL, weight=randn(3), bias=randn(3), ndim=1, eps=1e-5)


def affines(shape, ndim):
    weight, bias = randn(*shape[-ndim:], seed=1), randn(*shape[-ndim:], seed=2)
    return ("weight+bias", weight, bias), ("weight", weight, None), ("plain", None, None)


def rms_norm_forward(x, weight, ndim, eps):
    dims = tuple(range(-ndim, 0))
    return F.rms_norm(x, x.shape[-ndim:], weight, eps), (x.square().mean(dims, keepdim=True) + eps).rsqrt()


def rms_norm_calls():
    for shape, ndim in SHAPES:
        for affine, weight, _ in affines(shape, ndim)[1:]:
            args = {"x": randn(*shape), "weight": weight, "ndim": ndim, "eps": 1e-5}
            yield call(f"{shape} {ndim} {affine}", smooth=0 not in shape, **args)
    yield call("special", smooth=False, x=SPECIAL, weight=randn(3), ndim=1, eps=1e-5)


def add_layer_norm_forward(x, residual, *args):
    return x + residual, *layer_norm_forward(x + residual, *args)


def add_layer_norm_calls():
    for shape, ndim in NOT_EMPTY:
        # The sum is an output, hence rounded; sixteenths make it exact in 16 bits, so that both columns normalise the same.
        x, residual = ((randn(*shape, seed=seed) * 16).round() / 16 for seed in (0, 3))
        for affine, weight, bias in affines(shape, ndim):
            args = {"x": x, "residual": residual, "weight": weight, "bias": bias, "ndim": ndim, "eps": 1e-5}
            yield call(f"{shape} {ndim} {affine}", smooth=0 not in shape, **args)
    args = {"x": SPECIAL, "residual": randn(5, 3), "weight": randn(3), "bias": randn(3), "ndim": 1, "eps": 1e-5}
    yield call("special", smooth=False, **args)

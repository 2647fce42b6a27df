import torch.nn.functional as F

from column_cases.case import INF, NAN, call, randn, t


def batch_norm_forward(x, weight, bias, running_mean, running_var, training, eps):
    y = F.batch_norm(x, running_mean, running_var, weight, bias, training, eps=eps)
    if not training:
        return y, running_mean, running_var
    dims = (0, *range(2, x.dim()))
    return y, x.mean(dims), x.var(dims, correction=0)


def batch_norm_calls():
    for shape in ((4, 3), (2, 3, 5), (3, 2, 4, 5), (2, 3, 40), (300, 2), (2, 20, 2)):
        channels = shape[1]
        weight, bias = randn(channels, seed=1), randn(channels, seed=2)
        running = {"running_mean": randn(channels, seed=3), "running_var": randn(channels, seed=4).abs()}
        for affine, *parameters in (("weight+bias", weight, bias), ("weight", weight, None), ("plain", None, None)):
            args = dict(zip(("weight", "bias"), parameters, strict=True)) | {"x": randn(*shape), "eps": 1e-2}
            yield call(f"{shape} {affine} training", training=True, **args, **dict.fromkeys(running))
            yield call(f"{shape} {affine} running", training=False, **args, **running)
    special = t([[1, INF, NAN, 2, 0], [2, 1, 1, -INF, 0], [3, 2, 2, INF, 0]])
    running = {"running_mean": randn(5), "running_var": randn(5).abs()}
    for x in (special, special.repeat_interleave(40).reshape(3, 5, 40)):
        args = {"x": x, "weight": randn(5), "bias": randn(5, seed=1), "eps": 1e-5}
        label = f"special {tuple(x.shape)}"
        yield call(f"{label} training", smooth=False, training=True, **args, **dict.fromkeys(running))
        yield call(f"{label} running", smooth=False, training=False, **args, **running)

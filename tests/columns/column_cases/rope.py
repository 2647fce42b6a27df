import torch

from column_cases.case import INF, NAN, call, integers, randn, t


def rope_forward(q, k, cos, sin, positions, unsqueeze_dim, interleaved):
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    c, s = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    first = slice(0, None, 2) if interleaved else slice(0, c.shape[-1] // 2)
    second = slice(1, None, 2) if interleaved else slice(c.shape[-1] // 2, None)

    def turned(x):
        head, rest = x[..., : c.shape[-1]], x[..., c.shape[-1] :]
        a, b = head[..., first], head[..., second]
        y_a, y_b = a * c[..., first] - b * s[..., first], b * c[..., second] + a * s[..., second]
        y = torch.stack((y_a, y_b), -1).flatten(-2) if interleaved else torch.cat((y_a, y_b), -1)
        return torch.cat((y, rest), -1)

    return turned(q), turned(k)


def rope_calls():
    for interleaved in (False, True):
        layout = "interleaved" if interleaved else "halves"
        options = {"unsqueeze_dim": 1, "interleaved": interleaved}
        q, k = randn(2, 3, 4, 6), randn(2, 1, 4, 6)
        yield call(f"{layout} all", q=q, k=k, cos=randn(1, 4, 6), sin=randn(1, 4, 6, seed=1), positions=None, **options)
        cos, sin = randn(2, 4, 4), randn(2, 4, 4, seed=1)
        yield call(f"{layout} part", q=q, k=k, cos=cos, sin=sin, positions=None, **options)
        table = {"cos": randn(7, 4), "sin": randn(7, 4, seed=1)}
        yield call(f"{layout} positions", q=q, k=k, **table, positions=integers(7, 2, 4), **options)
        yield call(f"{layout} the same positions", q=q, k=k, **table, positions=integers(7, 1, 4), **options)
        first = {"unsqueeze_dim": 2, "interleaved": interleaved}
        q, k = randn(2, 4, 3, 6), randn(2, 4, 2, 6)
        yield call(f"{layout} tokens first", q=q, k=k, cos=cos, sin=sin, positions=None, **first)
        nothing = {"cos": randn(1, 4, 0), "sin": randn(1, 4, 0), "positions": None}
        yield call(f"{layout} no columns", q=q, k=k, **nothing, **first)
        for shape in ((0, 2, 4, 6), (2, 0, 4, 6), (2, 3, 0, 6), (2, 3, 4, 0)):
            q, k = randn(*shape), randn(*shape)
            angles = randn(1, shape[2], min(4, shape[3]))
            label = f"{layout} {shape}"
            yield call(label, smooth=False, q=q, k=k, cos=angles, sin=angles, positions=None, **options)
        special = t([INF, -INF, NAN, 0.0, -0.0, 1e300, -1e300, 1e-300]).expand(1, 1, 8, 8).clone()
        angles = {"cos": randn(1, 8, 6).cos(), "sin": randn(1, 8, 6).sin()}
        yield call(f"{layout} special", smooth=False, q=special, k=special.mT, **angles, positions=None, **options)

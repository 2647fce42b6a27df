from column_cases.case import NAN, call, randn, t


def soft_clip_forward(x, limit):
    return x / (1 + x.abs() / limit)


def soft_clip_calls():
    for limit in (1.0, 3.0):
        for shape in ((4, 6), (7,), (), (0,), (2, 0, 3)):
            yield call(f"{shape} {limit}", smooth=0 not in shape, x=randn(*shape), limit=limit)
        yield call(f"special {limit}", smooth=False, x=t([NAN, 0.0, -0.0, 1e300, -1e-300]), limit=limit)

import torch

from column_cases.case import INF, NAN, call, integers, randn, t


def scatter_add_forward(x, src, index, dim):
    return torch.scatter_add(x, dim, index, src)


def scatter_add_calls():
    for shape, dim, indices in (
        ((4, 5), 0, (6, 5)),
        ((3, 4, 5), 1, (2, 9, 3)),
        ((3, 4, 5), -1, (3, 4, 7)),
        ((6,), 0, (4,)),
        ((), 0, ()),
        ((4, 5), 0, (0, 5)),
    ):
        index = integers(max(shape[dim], 1) if shape else 1, *indices)
        args = {"x": randn(*shape), "src": randn(*indices, seed=1), "index": index, "dim": dim}
        yield call(f"{shape} {dim} {indices}", smooth=0 not in indices, **args)
    special = {"x": t([-0.0, 1, 1]), "src": t([NAN, INF, -INF, 2]), "index": torch.tensor([1, 2, 2, 2])}
    yield call("nan", smooth=False, dim=0, **special)


def index_add_forward(x, src, index):
    return torch.index_add(x, 0, index, src)


def index_add_calls():
    for rows, others, n in ((4, (5,), 7), (4, (), 9), (3, (2, 3), 1), (3, (2,), 0), (2, (0,), 3)):
        args = {"x": randn(rows, *others), "src": randn(n, *others, seed=1), "index": integers(rows, n)}
        yield call(f"{rows} {others} {n}", smooth=0 not in (n, *others), **args)
    special = {"x": t([[-0.0], [1], [1]]), "src": t([[NAN], [INF], [-INF], [2]]), "index": torch.tensor([1, 2, 2, 2])}
    yield call("nan", smooth=False, **special)

import torch
import torch.nn.functional as F

from column_cases.case import INF, NAN, call, integers, randn, t


def gather_forward(x, index, dim):
    return torch.gather(x, dim, index)


def gather_calls():
    for shape, dim, indices in (
        ((4, 5), 0, (6, 5)),
        ((4, 5), 1, (4, 3)),
        ((3, 4, 5), 1, (2, 9, 3)),
        ((3, 4, 5), -1, (3, 4, 5)),
        ((6,), 0, (4,)),
        ((), 0, ()),
        ((), 0, (3,)),
        ((4, 5), 0, (0, 5)),
        ((4, 5), 1, (0, 0)),
        ((0, 5), 0, (0, 5)),
    ):
        args = {"x": randn(*shape), "index": integers(max(shape[dim], 1) if shape else 1, *indices), "dim": dim}
        yield call(f"{shape} {dim} {indices}", smooth=0 not in indices, backward={"shape": shape}, **args)
    yield call("nan", smooth=False, backward={"shape": (3,)}, x=t([NAN, INF, 1]), dim=0, index=integers(3, 3))


def embedding_forward(weight, index, padding_idx, scale_grad_by_freq):
    return F.embedding(index, weight, None if padding_idx < 0 else padding_idx, scale_grad_by_freq=scale_grad_by_freq)


def embedding_calls():
    for shape in ((6,), (2, 3), (), (0,), (2, 0)):
        args = {"weight": randn(4, 3), "index": integers(4, *shape)}
        for padding, freq in ((-1, False), (1, False), (-1, True), (2, True)):
            label, options = f"{shape} padding {padding} freq {freq}", {"padding_idx": padding, "scale_grad_by_freq": freq}
            yield call(label, smooth=0 not in shape, backward={"num_embeddings": 4}, **args, **options)

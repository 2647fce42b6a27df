import torch
import torch.nn.functional as F

from column_cases.case import INF, NAN, call, integers, randn, t
from scratchnet.ops import REDUCTIONS

SPECIAL = t([[-INF, -INF, -INF], [INF, 1, 2], [INF, INF, -INF], [NAN, 1, 2], [-INF, 2, 1], [1e4, -1e4, 0]])
IGNORED = -100

softmax_forward, log_softmax_forward = torch.softmax, torch.log_softmax


def logsumexp_forward(x, dim):
    return torch.logsumexp(x, dim, keepdim=True)


def softmax_calls():
    for shape, dim in (((3, 5), -1), ((3, 5), 0), ((2, 3, 4), 1), ((), 0), ((3, 1), 1)):
        yield call(f"{shape} {dim}", x=randn(*shape), dim=dim)
    for shape, dim in (((3, 0), 1), ((0, 3), 1), ((0, 3), 0)):
        yield call(f"{shape} {dim}", smooth=False, x=randn(*shape), dim=dim)
    yield call("special", smooth=False, x=SPECIAL, dim=1)
    yield call("large", smooth=False, x=randn(3, 5) * 300 + 1e5, dim=1)


log_softmax_calls = logsumexp_calls = softmax_calls


def cross_entropy_forward(x, target, weight, reduction, ignore_index, label_smoothing):
    options = {"reduction": REDUCTIONS[reduction], "ignore_index": ignore_index, "label_smoothing": label_smoothing}
    loss = F.cross_entropy(x, target, weight, **options)
    lse = x.amax(1) - x.log_softmax(1).amax(1)
    if target.is_floating_point():
        return loss, lse, t(float(target.numel() // max(x.shape[1], 1)))
    counted = target[target != ignore_index]
    return loss, lse, (torch.ones(x.shape[1], dtype=x.dtype) if weight is None else weight)[counted].sum()


def usual_options():
    """Every reduction with and without smoothing and class weights, and what such a call is called."""
    for code, reduction in enumerate(REDUCTIONS):
        for smoothing in (0.0, 0.1):
            for weight in (None, randn(5).abs()):
                label = f"{reduction} smoothing {smoothing}{'' if weight is None else ' weight'}"
                yield label, {"weight": weight, "reduction": code, "label_smoothing": smoothing}


def targets():
    """Classes of (3, 5, 2) logits: all of them, some of them ignored, and as probabilities."""
    target = integers(5, 3, 2)
    return target, target.where(integers(2, 3, 2, seed=1) > 0, IGNORED), randn(3, 5, 2, seed=1).softmax(1)


def cross_entropy_calls():
    (target, some, probabilities), x = targets(), randn(3, 5, 2)
    for label, options in usual_options():
        for ignored in (IGNORED, int(target[0, 0])):
            yield call(f"{label} ignore {ignored}", x=x, target=target, ignore_index=ignored, **options)
        yield call(f"{label} some {IGNORED}", x=x, target=some, ignore_index=IGNORED, **options)
        yield call(f"{label} probabilities", x=x, target=probabilities, ignore_index=IGNORED, **options)
    for code, reduction in enumerate(REDUCTIONS):
        for smoothing in (0.0, 0.1):
            for label, args in special_targets():
                options = {"reduction": code, "ignore_index": IGNORED, "label_smoothing": smoothing}
                yield call(f"{reduction} smoothing {smoothing} {label}", smooth=False, **args, **options)


def special_targets():
    """Logits that are infinite or NaN, no class that counts, no rows."""
    for name, target in (
        ("first", torch.zeros(6, 1, dtype=torch.int64)),
        ("second", torch.ones(6, 1, dtype=torch.int64)),
        ("ignored", torch.full((6, 1), IGNORED)),
        ("one-hot", F.one_hot(torch.ones(6, dtype=torch.int64), 3).double().unsqueeze(-1)),
    ):
        for weight in (None, t([1.0, 0.0, 2.0])):
            label = f"special {name} {'weight' if weight is not None else ''}"
            yield label, {"x": SPECIAL.unsqueeze(-1), "target": target, "weight": weight}
    finite, zeros = randn(2, 3, 1), torch.zeros(2, 1, dtype=torch.int64)
    yield "total weight 0", {"x": finite, "target": zeros, "weight": t([0.0, 1.0, 1.0])}
    yield "all ignored", {"x": finite, "target": zeros + IGNORED, "weight": None}
    for empty in (torch.zeros(0, 1, dtype=torch.int64), randn(0, 3, 1)):
        yield f"N 0 {empty.dtype}", {"x": randn(0, 3, 1), "target": empty, "weight": None}


def linear_cross_entropy_forward(x, linear_weight, linear_bias, target, *options):
    return cross_entropy_forward(F.linear(x, linear_weight, linear_bias), target, *options)


def linear_cross_entropy_calls():
    (_, some, probabilities), x, weight = targets(), randn(3, 4), randn(5, 4)
    for label, options in usual_options():
        for bias in (None, randn(5)):
            for target in (some[:, 0], probabilities[..., 0]):
                args = {"x": x, "linear_weight": weight, "linear_bias": bias, "target": target}
                yield call(f"{label} {target.dtype} {bias is None}", ignore_index=IGNORED, **args, **options)

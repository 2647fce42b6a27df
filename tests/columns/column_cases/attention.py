import math

import torch

from column_cases.case import INF, NAN, call, integers, randn, t
from scratchnet.ops.attention import EVERYWHERE
from scratchnet.reference.attention import dropout_factors

PLAIN = {"left": EVERYWHERE, "right": EVERYWHERE, "scale": 0.4, "softcap": 0.0, "dropout": 0.0}


def attention_forward(q, k, v, mask, sinks, seed, left, right, scale, softcap, dropout):
    """torch's softmax and logsumexp; its own function has no second derivative. A sink is a key more, without value."""
    heads, (rows, keys) = q.shape[1], (q.shape[2], k.shape[2])
    k, v = (t.repeat_interleave(heads // max(t.shape[1], 1), 1) for t in (k, v))
    ahead = torch.arange(keys) - torch.arange(rows)[:, None]
    bias = torch.zeros(rows, keys, dtype=q.dtype).masked_fill((ahead < -left) | (ahead > right), -math.inf)
    if mask is not None:
        bias = bias.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else bias + mask
    s = q @ k.mT * scale
    s = (softcap * torch.tanh(s / softcap) if softcap else s) + bias
    if sinks is not None:
        s = torch.cat([s, sinks[:, None, None].expand(*s.shape[:3], 1)], 3)
    none = (s == -math.inf).all(3, keepdim=True)  # queries without keys
    p = s.masked_fill(none, 0).softmax(3).masked_fill(none, 0)[..., :keys]
    lse = s.masked_fill(none, 0).logsumexp(3).masked_fill(none.squeeze(3), math.inf)
    return (p * dropout_factors(seed, p, dropout) @ v).transpose(1, 2), lse


def attention_calls():
    def tensors(b=2, h=2, g=2, rows=3, keys=4, e=3, ev=3, **options):
        given = {"q": randn(b, h, rows, e), "k": randn(b, g, keys, e), "v": randn(b, g, keys, ev, seed=1)}
        return {**given, "mask": None, "sinks": None, "seed": None, **PLAIN, **options}

    yield call("plain", **tensors())
    yield call("causal", **tensors(rows=5, keys=5, right=0))
    yield call("causal, more keys", **tensors(rows=2, right=0))
    yield call("causal, fewer keys", **tensors(rows=5, keys=2, right=0))
    yield call("grouped", **tensors(h=6, g=2))
    yield call("one group, other size of values", **tensors(h=3, g=1, ev=5, e=2))
    yield call("window", **tensors(rows=6, keys=6, left=1, right=2))
    yield call("softcap", **tensors(softcap=0.8))
    yield call("sinks", **tensors(sinks=randn(2)))
    yield call("sinks, causal, softcap", **tensors(h=4, sinks=randn(4), right=0, softcap=2.0))
    for shape in ((2, 2, 3, 4), (1, 2, 3, 4), (2, 1, 1, 4), (1, 1, 3, 1), (1, 2, 1, 1), (1, 1, 1, 1)):
        # one number for all keys of a query: without a sink, its gradient is 0
        sinks = randn(2) if shape[3] == 1 else None
        yield call(f"mask {shape}", **tensors(mask=randn(*shape), sinks=sinks))
    yield call("bool mask", **tensors(mask=torch.cat([torch.ones(2, 1, 3, 1), integers(2, 2, 1, 3, 3)], 3).bool()))
    yield call("bool mask, softcap", **tensors(mask=integers(2, 1, 2, 3, 4).bool(), softcap=1.0, sinks=randn(2)))
    yield call("dropout", **tensors(seed=torch.tensor(7), dropout=0.4))
    yield call("dropout, causal, mask", **tensors(seed=torch.tensor(-3), dropout=0.25, right=0, mask=randn(2, 2, 3, 4)))
    everything = {"sinks": randn(6), "mask": randn(2, 6, 3, 4), "left": 1, "right": 1, "softcap": 2.0, "dropout": 0.3}
    yield call("everything", **tensors(h=6, ev=2, seed=torch.tensor(1), **everything))
    yield call("all dropped", **tensors(seed=torch.tensor(7), dropout=1.0))
    for name, sizes in {"B": {"b": 0}, "L": {"rows": 0}, "S": {"keys": 0}, "E": {"e": 0}, "Ev": {"ev": 0}}.items():
        yield call(f"{name} 0", smooth=False, **tensors(**sizes))
    nothing = t([[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]).bool()[None, None]
    yield call("queries without keys", smooth=False, **tensors(mask=nothing))
    yield call("queries of -inf", smooth=False, **tensors(mask=torch.zeros(1, 1, 3, 4).double().masked_fill(~nothing, -INF)))
    for value in (NAN, 1e300):
        q = randn(2, 2, 3, 3)
        q[0, 1, 2, 0] = value
        yield call(f"{value} in q", smooth=False, **tensors() | {"q": q})
    yield call("large", smooth=False, **tensors(scale=30.0))

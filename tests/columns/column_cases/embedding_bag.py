import torch

from column_cases.case import INF, NAN, call, integers, randn, t
from scratchnet.ops.embedding_bag import MODES


def embedding_bag_forward(weight, index, offsets, scale, mode, padding_idx):
    """Bag by bag: torch's own has no second derivative, and returns what is not in a bag of its own."""
    bags, which = [weight.new_zeros(0, weight.shape[1])], [index.new_zeros(0, weight.shape[1])]
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        kept = torch.arange(begin, end)[index[begin:end] != padding_idx]
        rows = weight[index[kept]] if scale is None else weight[index[kept]] * scale[kept, None]
        if MODES[mode] == "sum" or not len(kept):
            y, at = rows.sum(0), index.new_full(weight.shape[1:], -1)
        elif MODES[mode] == "mean":
            y = rows.mean(0)
        else:
            y, place = rows.max(0)
            at = index[kept[place]]
        bags.append(y.unsqueeze(0))
        which += [at.unsqueeze(0)] if MODES[mode] == "max" else []
    return torch.cat(bags), torch.cat(which) if MODES[mode] == "max" else index.new_empty(0)


def embedding_bag_calls():
    index, bags = integers(5, 9), torch.tensor([0, 2, 2, 5, 9])
    for mode, weighted, padding, offsets in (
        (0, False, -1, bags),
        (0, True, 2, bags),
        (1, False, 1, bags),
        (2, False, -1, bags),
        (2, False, 3, torch.tensor([0, 1, 9])),
        (0, True, -1, torch.tensor([0, 4])),
    ):
        options = {"mode": mode, "padding_idx": padding}
        args = {"weight": randn(5, 3), "index": index, "offsets": offsets, "scale": randn(9, seed=1) if weighted else None}
        label = f"{MODES[mode]} weighted {weighted} padding {padding}, {len(offsets) - 1} bags"
        yield call(label, **args, **options)
    for mode in (0, 1):
        args = {"weight": t([[NAN], [INF], [-INF], [-0.0]]), "index": torch.tensor([0, 1, 2, 3, 3]), "scale": None}
        yield call(f"nan {MODES[mode]}", smooth=False, offsets=torch.tensor([0, 1, 3, 4, 5]), mode=mode, padding_idx=-1, **args)

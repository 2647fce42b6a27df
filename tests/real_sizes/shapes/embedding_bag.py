import torch

from scratchnet.ops.op import indices


def _bags(rows, columns, bags, most, **options):
    """Bags of up to `most` entries."""

    def make(t):
        offsets = torch.randint(most + 1, (bags,)).cumsum(0)
        index = indices(rows, int(offsets[-1]) + 1)
        return (index, t(rows, columns), torch.cat((offsets.new_zeros(1), offsets[:-1]))), options

    return make


SHAPES = {
    "embedding_bag": {
        "DLRM: a table of Criteo": _bags(100_003, 16, 2048, 3, mode="sum"),
        "DLRM: many entries": lambda t: (
            (indices(20_011, 256, 100), t(20_011, 64)),
            {"mode": "sum", "per_sample_weights": t(256, 100)},
        ),
        "fastText: words and their parts": _bags(20_011, 100, 300, 20, mode="mean", padding_idx=0),
        "text classification: maximum": _bags(28_996, 128, 64, 200, mode="max"),
    },
}

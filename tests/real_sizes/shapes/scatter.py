from scratchnet.ops.op import indices


def _rows(n, edges, columns):
    return lambda t: ((t(n, columns), 0, indices(n, edges).unsqueeze(1).expand(edges, columns), t(edges, columns)), {})


SHAPES = {
    "scatter_add": {
        "GCN on ogbn-arxiv: messages": _rows(169343, 200000, 8),
        "PointNet++: neighbours": lambda t: ((t(8, 128, 1024), 2, indices(1024, 8, 128, 2048), t(8, 128, 2048)), {}),
        "mixture of experts: tokens": lambda t: ((t(2048, 512), 0, indices(2048, 4096, 512), t(4096, 512)), {}),
        "histogram": lambda t: ((t(65536), 0, indices(65536, 1_000_003), t(1_000_003)), {}),
    },
    "index_add": {
        "GNN: messages": lambda t: ((t(30011, 64), 0, indices(30011, 60000), t(60000, 64)), {}),
        "ogbn-products": lambda t: ((t(12245, 100), 0, indices(12245, 61859), t(61859, 100)), {}),
        "Mixtral: an expert's tokens": lambda t: ((t(512, 4096), 0, indices(512, 128), t(128, 4096)), {}),
        "SchNet: atoms of a batch": lambda t: ((t(16, 64, 128), 1, indices(64, 1024), t(16, 1024, 128)), {}),
    },
}

"""Gather from tables that fit in a cache and that do not, tall ones and wide ones; embeddings of small and large vocabularies.

Pooling of small and large images.
"""

from scratchnet.cli.bench import sweep

SIZES = {
    "gather": ((32, 64), (512, 512), (4096, 4096), (262144, 32), (64, 131072)),
    "embedding": ((64, 32), (1000, 64), (32000, 512), (50257, 64)),
    "embedding_bag": ((64, 32), (1000, 64), (100000, 64), (2000000, 16)),
    **dict.fromkeys(("scatter_add", "index_add"), ((64, 32), (1000, 64), (4096, 4096), (100000, 64))),
    **dict.fromkeys(("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"), ((26, 26), (222, 222), (1022, 1022))),
}

if __name__ == "__main__":
    raise SystemExit(sweep(SIZES))

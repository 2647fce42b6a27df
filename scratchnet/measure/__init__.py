"""How right and how fast: the judge, the benchmark, ladders, the machine's limits, and what compilers generate for GPUs."""

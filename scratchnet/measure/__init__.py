"""How right and how fast: the judge, the benchmark, ladders, the machine's limits, and the code that compilers generate for GPUs."""

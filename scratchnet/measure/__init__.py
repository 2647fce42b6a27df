"""How right and how fast: the judge, the benchmark, ladders, the machine's limits, the code that compilers make for GPUs."""

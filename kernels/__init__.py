"""Where the Triton kernels go, one file a primitive; installed as `scratchnet.kernels`. This version has none yet."""

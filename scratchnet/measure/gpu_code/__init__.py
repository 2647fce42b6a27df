"""What the compilers make of the GPU kernels: registers, spills, shared memory, occupancy."""

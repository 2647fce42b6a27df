"""What every test starts from."""

import pytest
import torch


@pytest.fixture(autouse=True)
def same_start():
    """The same random numbers for every test, whichever ran before; the number of threads is put back."""
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)

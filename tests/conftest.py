"""What every test starts from."""

import gc
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Triton's interpreter calls NumPy: its threads would fight torch's
os.environ["SCRATCHNET_PROFILE"] = "off"  # ours run at every size, whatever was measured on this machine
os.environ.setdefault("SCRATCHNET_REAL_SIZES_SEED", "0")  # `make fuzz` takes a new one

import pytest  # noqa: E402
import torch  # noqa: E402
from quick import quick  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where the tensors of tests/kernels are: cpu or cuda")
    parser.addoption("--quick", action="store_true", help="a sample of the cases of every test: see tests/quick.py")
    parser.addoption("--fuzz-seed", type=int, default=0, help="the first case of tests/fuzz; `make fuzz` takes a new one")


@pytest.hookimpl(trylast=True)  # after -m and -k: the sample is drawn from what they left
def pytest_collection_modifyitems(config, items):
    if config.getoption("--quick"):
        kept = quick(items)
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


def pytest_collection_finish():
    """Torch and 30,000 tests live to the end: no garbage collection looks at them, above all not those of `bench`."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Also after a crash, which prints no message."""
    name = "SCRATCHNET_REAL_SIZES_SEED"
    terminalreporter.write_line(f"to repeat the random tests of tests/real_sizes: {name}={os.environ[name]}")


@pytest.fixture(autouse=True)
def same_start():
    """The same random numbers for every test, whichever ran before; the number of threads is put back."""
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def drawn(monkeypatch):
    """The matplotlib figures that were saved meanwhile, in order."""
    figure = pytest.importorskip("matplotlib.figure", reason="pip install 'scratchnet[data]'").Figure
    figures, save = [], figure.savefig
    monkeypatch.setattr(figure, "savefig", lambda self, *args, **options: figures.append(self) or save(self, *args, **options))
    return figures

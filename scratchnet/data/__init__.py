"""Real data that needs no download, and generated data whose answer is known.

Dataset and DataLoader are torch's: `DataLoader(TensorDataset(*train), batch_size=32, shuffle=True)` takes any `Split`.
"""

from torch.utils.data import DataLoader, Dataset, TensorDataset

from scratchnet.data.diabetes import diabetes
from scratchnet.data.digits import digits
from scratchnet.data.generated import houses, line, moons, spiral
from scratchnet.data.mnist_5k import mnist_5k
from scratchnet.data.names import names
from scratchnet.data.prose import prose
from scratchnet.data.split import Split, split
from scratchnet.data.text import Vocabulary, windows

__all__ = [
    "DataLoader",
    "Dataset",
    "Split",
    "TensorDataset",
    "Vocabulary",
    "diabetes",
    "digits",
    "houses",
    "line",
    "mnist_5k",
    "moons",
    "names",
    "prose",
    "spiral",
    "split",
    "windows",
]

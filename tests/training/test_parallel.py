"""Two processes fit as one does, by DistributedDataParallel and by FSDP2: histories, parameters and checkpoints, by value."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
from two_processes import two_processes

import scratchnet
from scratchnet import nn, optim
from scratchnet.training import Batches, fit, mse, parallel, processes, shard

ROWS = 22
RUNS = {
    "batches that divide": {"batch_size": 8},  # 8, 8 and 6 rows
    "batches that do not": {"batch_size": 7},  # 7, 7, 7 and 1, of which a process has no row
    "options": {"batch_size": 5, "accumulate": 2, "clip_norm": 0.05, "patience": 1, "scheduled": True},
    "DistributedSampler": {"sampler": True},
    "resumed": {"batch_size": 8, "resume": True},
}
KINDS = {"ddp": False, "fsdp": True}


def data():
    x = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + x[:, :1] ** 2


def sampled():
    rows = TensorDataset(*data())
    sampler = DistributedSampler(rows, parallel.count(), parallel.rank(), seed=4)
    return DataLoader(rows, batch_size=8 // parallel.count(), sampler=sampler)


def run(split=False, sampler=False, scheduled=False, epochs=4, **options):
    """The history of a fit and the final parameters: of the same model, whoever calls."""
    torch.manual_seed(5 + parallel.rank())  # other parameters in the second process, which it does not keep
    model = nn.Sequential(nn.Linear(3, 8), nn.Sequential(nn.GELU(), nn.Linear(8, 8)), nn.LayerNorm(8), nn.Linear(8, 1)).double()
    if split:
        shard(model)
        assert sum(p.to_local().numel() for p in model.parameters()) < 0.7 * sum(p.numel() for p in model.parameters())
    optimizer = optim.AdamW(model.parameters(), lr=0.05)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.5) if scheduled else None
    given = {"validation": data(), "metrics": [mse], "scheduler": scheduler, "progress": False} | options
    history = fit(model, sampled() if sampler else data(), loss=nn.MSELoss(), optimizer=optimizer, epochs=epochs, **given)
    return history, parallel.whole(dict(model.state_dict()))


def normalized():
    """The averages of a batch_norm: each process has seen its own rows, and all have the first one's."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)).double()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    fit(model, data(), loss=nn.MSELoss(), optimizer=optimizer, epochs=1, batch_size=ROWS, progress=False)
    return model[0].running_mean


def shuffled():
    model = nn.Linear(3, 1).double()
    loader = DataLoader(TensorDataset(*data()), shuffle=True)
    with pytest.raises(ValueError, match="^fit: a DataLoader that shuffles by .* differs between the processes: give it"):
        fit(model, loader, loss=nn.MSELoss(), optimizer=optim.SGD(model.parameters()), epochs=1, progress=False)
    loader = DataLoader(TensorDataset(*data()), shuffle=True, batch_size=8, generator=torch.Generator().manual_seed(1))
    fit(model, loader, loss=nn.MSELoss(), optimizer=optim.SGD(model.parameters()), epochs=1, progress=False)


def work(rank, results, folder):
    with scratchnet.backend("cpp"):
        for kind, split in KINDS.items():
            for name, options in RUNS.items():
                file = {"checkpoint": folder / f"{kind} {name}.pt"} if options.get("resume") else {}
                results[kind, name, rank] = run(split, **options, **file)
            run(split, batch_size=8, epochs=2, checkpoint=folder / f"{kind}.pt")
        results["normalized", rank] = normalized()
        shuffled()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where one process has stopped after two epochs of four, once for each kind; and later two have."""
    folder = tmp_path_factory.mktemp("checkpoints")
    with scratchnet.backend("cpp"):
        for kind in KINDS:
            run(batch_size=8, epochs=2, checkpoint=folder / f"{kind} resumed.pt")
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return two_processes(work, folder)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_fit_as_one(results, kind, name):
    options = {key: value for key, value in RUNS[name].items() if key != "resume"}
    history, parameters = run(**options)
    for rank in (0, 1):
        assert_close(results[kind, name, rank], (history, parameters), rtol=1e-9, atol=1e-12)
    assert history["loss"][-1] < history["loss"][0]  # it learns


@pytest.mark.parametrize("kind", KINDS)
def test_one_process_goes_on_where_two_have_stopped(results, folder, kind):
    resumed = run(batch_size=8, checkpoint=folder / f"{kind}.pt", resume=True)
    assert_close(resumed, run(batch_size=8), rtol=1e-9, atol=1e-12)


def test_all_have_the_first_ones_averages(results):
    x, _ = next(iter(Batches(*data(), ROWS, 0)))
    assert_close(results["normalized", 0], 0.1 * x[: ROWS // 2].mean(0))
    assert torch.equal(results["normalized", 0], results["normalized", 1])


def test_no_thread_of_gloo_is_left(results):
    """One that frees a tensor while Python ends kills the process."""
    assert results["threads", 0] == results["threads", 1] == []


def test_alone():
    with processes() as count:
        assert count == 1 and not torch.distributed.is_initialized()
    with pytest.raises(RuntimeError, match="shard: there are no processes to split the parameters over; .*torchrun"):
        shard(nn.Linear(2, 2))

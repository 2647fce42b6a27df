"""A run that was stopped and resumed ends with the same bits as one that was not."""

import copy
import resource
import signal

import pytest
import torch

from scratchnet import nn, optim
from scratchnet.data import DataLoader, TensorDataset, moons
from scratchnet.optim import lr_scheduler
from scratchnet.training import accuracy, fit
from scratchnet.training import checkpoint as checkpoints

SCHEDULERS = {
    "none": lambda optimizer: None,
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 5),
    "multistep": lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [2, 4], 0.5),
    "plateau": lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5),
}


def run(epochs, *, rule="none", loader=False, **options):
    """Train a network with dropout on shuffled moons; return the history and everything that it leaves behind."""
    torch.manual_seed(7)
    train, test = moons(120)
    model = nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.3), nn.Linear(8, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    data = DataLoader(TensorDataset(*train), batch_size=16, shuffle=True) if loader else train
    history = fit(
        model,
        data,
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        scheduler=SCHEDULERS[rule](optimizer),
        epochs=epochs,
        validation=test,
        metrics=[accuracy],
        progress=False,
        **options,
    )
    return history, model.state_dict(), optimizer.state_dict(), torch.get_rng_state()


@pytest.mark.parametrize("loader", [False, True], ids=["tensors", "DataLoader"])
@pytest.mark.parametrize("rule", SCHEDULERS)
def test_resumed_run_has_the_same_bits(tmp_path, rule, loader):
    path = tmp_path / "run.pt"
    whole = run(5, rule=rule, loader=loader)
    run(2, rule=rule, loader=loader, checkpoint=path)
    torch.randn(1000)  # whatever happens in between
    resumed = run(5, rule=rule, loader=loader, checkpoint=path, resume=True)
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


def test_resumed_run_knows_its_best_epoch(tmp_path):
    path, options = tmp_path / "run.pt", {"patience": 2, "accumulate": 2, "clip_norm": 1.0}
    whole = run(40, **options)
    for epochs in (1, 3, 4):
        run(epochs, checkpoint=path, resume=True, **options)
    resumed = run(40, checkpoint=path, resume=True, **options)
    torch.testing.assert_close(resumed[:2], whole[:2], rtol=0, atol=0)
    again = run(40, checkpoint=path, resume=True, **options)  # nothing is left to do
    torch.testing.assert_close(again[:2], whole[:2], rtol=0, atol=0)


def test_without_resume_a_run_starts_afresh(tmp_path):
    path = tmp_path / "run.pt"
    first, second = run(2, checkpoint=path), run(2, checkpoint=path)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(run(2, checkpoint=tmp_path / "none.pt", resume=True), first, rtol=0, atol=0)


def test_torch_reads_the_checkpoint(tmp_path):
    """Plain state_dicts: torch's own model and optimizer take them."""
    path = tmp_path / "run.pt"
    _, parameters, *_ = run(2, checkpoint=path)
    state = torch.load(path, weights_only=True)
    layers = torch.nn
    model = layers.Sequential(layers.Linear(2, 8), layers.LayerNorm(8), layers.GELU(), layers.Dropout(0.3), layers.Linear(8, 2))
    model.load_state_dict(state["model"])
    torch.testing.assert_close(dict(model.state_dict()), dict(parameters), rtol=0, atol=0)
    torch.optim.Adam(model.parameters()).load_state_dict(state["optimizer"])


def test_a_crash_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    run(1, checkpoint=path)
    before = path.read_bytes()

    def half(state, file):
        file.write(b"half of it")
        raise OSError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk is full"):
        patch.setattr(torch, "save", half)
        run(2, checkpoint=path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["run.pt"]
    torch.testing.assert_close(run(3, checkpoint=path, resume=True), run(3), rtol=0, atol=0)


def test_checkpoint_of_another_model_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    run(1, checkpoint=path)
    model = nn.Linear(2, 2)
    options = {"loss": nn.CrossEntropyLoss(), "optimizer": optim.SGD(model.parameters()), "epochs": 2, "progress": False}
    with pytest.raises(ValueError, match="(?s)run.pt does not fit this model: .*Missing key.*weight"):
        fit(model, moons()[0], checkpoint=path, resume=True, **options)
    with pytest.raises(ValueError, match="run.pt holds no scheduler: it belongs to another run"):
        run(2, rule="cosine", checkpoint=path, resume=True)


def test_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with open(tmp_path / "evil.pt", "r+b") as file:
        end = file.seek(0, 2)
        file.write(checkpoints._MARK + checkpoints._digest(file, end))
    with pytest.raises(ValueError, match="evil.pt is damaged, or fit did not write it: Weights only load failed"):
        checkpoints.load(tmp_path / "evil.pt", {}, None, {})


VALUES = {"history": {"loss": [1.0]}, "best": {"epoch": 0, "loss": 1.0}}
KINDS = {"history": dict, "best": dict}


def parts(seed, make=optim.Adam, layers=2):
    """A model that has learned a little, its optimizer and scheduler, and the generator of its batches."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), *(nn.Linear(3, 3) for _ in range(layers)))
    optimizer = make(model.parameters(), lr=0.1)
    model(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    stateful = {"model": model, "optimizer": optimizer, "scheduler": lr_scheduler.StepLR(optimizer, seed + 1)}
    return stateful, torch.Generator().manual_seed(seed)


def everything(stateful, generator):
    states = {name: thing.state_dict() for name, thing in stateful.items()}
    return copy.deepcopy([states, generator and generator.get_state(), torch.get_rng_state()])


def assert_refused(path, stateful, generator, match):
    """`load` raises ValueError and changes nothing."""
    before = everything(stateful, generator)
    with pytest.raises(ValueError, match=match):
        checkpoints.load(path, stateful, generator, KINDS)
    torch.testing.assert_close(everything(stateful, generator), before, rtol=0, atol=0)


def test_no_damaged_byte_goes_unnoticed(tmp_path):
    path = tmp_path / "run.pt"
    stateful, generator = parts(0)
    checkpoints.save(path, stateful, generator, VALUES)
    data = path.read_bytes()
    other = parts(1)
    # A prime step meets the headers, the pickle, the tensors, the directory and the checksum at all offsets.
    for at in range(0, len(data), 211):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert_refused(path, *other, "run.pt is damaged, or fit did not write it: its bytes do not match its checksum")
        path.write_bytes(data[:at])
        assert_refused(path, *other, "run.pt is damaged, or fit did not write it: its bytes do not match its checksum")
    path.write_bytes(data)
    assert checkpoints.load(path, *other, KINDS)["history"] == VALUES["history"]
    torch.testing.assert_close(everything(*other)[:2], everything(stateful, generator)[:2], rtol=0, atol=0)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04", bytes(1000)])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    assert_refused(path, *parts(1), "run.pt is damaged, or fit did not write it")
    torch.save({"model": {}}, path)
    assert_refused(path, *parts(1), "run.pt is damaged, or fit did not write it")


DROP = object()
OTHERS = {  # where in the state; what is there instead
    "list for all": ((), []),
    "number for the model": (("model",), 3),
    "key of another type": (("model", 5), torch.ones(2)),
    "number for a weight": (("model", "0.weight"), 3.0),
    "another shape": (("model", "2.weight"), torch.ones(2, 2)),
    "no groups": (("optimizer", "param_groups"), DROP),
    "empty groups": (("optimizer", "param_groups"), []),
    "number for the groups": (("optimizer", "param_groups"), 3),
    "number for the optimizer's state": (("optimizer", "state"), 3),
    "no option": (("optimizer", "param_groups", 0, "betas"), DROP),
    "list for the scheduler": (("scheduler",), []),
    "no random states": (("random",), DROP),
    "no torch state": (("random", "torch"), DROP),
    "short torch state": (("random", "torch"), torch.zeros(3, dtype=torch.uint8)),
    "number for the torch state": (("random", "torch"), 3),
    "no state of the batches": (("random", "batches"), None),
    "floats for the batches": (("random", "batches"), torch.zeros(16)),
    "no history": (("history",), DROP),
    "list for the history": (("history",), []),
    "no best": (("best",), DROP),
}


@pytest.mark.parametrize("where, value", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path, monkeypatch, where, value):
    path = tmp_path / "run.pt"
    write = torch.save

    def other(state, file):
        state = copy.deepcopy(state)
        place = state
        for key in where[:-1]:
            place = place[key]
        if not where:
            state = value
        elif value is DROP:
            del place[where[-1]]
        else:
            place[where[-1]] = value
        write(state, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", other)
        checkpoints.save(path, *parts(0), VALUES)
    assert_refused(path, *parts(1), "the checkpoint .*run.pt (does not fit|holds no|is damaged)")


@pytest.mark.parametrize(
    "make, layers, match",
    [
        (optim.Adam, 1, "(?s)does not fit this model: .*Unexpected key"),
        (optim.Adam, 3, "(?s)does not fit this model: .*Missing key"),
        (optim.SGD, 2, "does not fit this optimizer: options .*momentum.* are missing"),
        (optim.RMSprop, 2, "does not fit this optimizer: options .*alpha.* are missing"),
    ],
)
def test_the_checkpoint_of_another_network_or_optimizer_changes_nothing(tmp_path, make, layers, match):
    path = tmp_path / "run.pt"
    checkpoints.save(path, *parts(0), VALUES)
    assert_refused(path, *parts(1, make, layers), match)


@pytest.mark.parametrize("limit", [100, 5000, -10])
def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(tmp_path, limit):
    """A limit on the size of files stands in for the disk; torch's writer then raises RuntimeError, `save` OSError."""
    path = tmp_path / "run.pt"
    checkpoints.save(path, *parts(0), VALUES)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit % len(before), hard))
        with pytest.raises(OSError, match="File too large"):
            checkpoints.save(path, *parts(0), VALUES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["run.pt"]


def test_a_place_that_is_a_folder(tmp_path):
    with pytest.raises(OSError):
        checkpoints.save(tmp_path, *parts(0), VALUES)
    assert [*tmp_path.parent.glob("*.unfinished")] == []

"""A run that was stopped and resumed ends with the same bits as one that was not."""

import pickle

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
    """Train a network with dropout on shuffled moons; the history and everything that it leaves behind."""
    torch.manual_seed(7)
    train, test = moons(120)
    model = nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.3), nn.Linear(8, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    data = DataLoader(TensorDataset(*train), batch_size=16, shuffle=True) if loader else train
    history = fit(
        model, data, loss=nn.CrossEntropyLoss(), optimizer=optimizer, scheduler=SCHEDULERS[rule](optimizer), epochs=epochs,
        validation=test, metrics=[accuracy], progress=False, **options,
    )  # fmt: skip
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
    assert path.read_bytes() == before
    torch.testing.assert_close(run(3, checkpoint=path, resume=True), run(3), rtol=0, atol=0)


def test_checkpoint_of_another_model_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    run(1, checkpoint=path)
    model = nn.Linear(2, 2)
    options = {"loss": nn.CrossEntropyLoss(), "optimizer": optim.SGD(model.parameters()), "epochs": 2, "progress": False}
    with pytest.raises(ValueError, match="(?s)run.pt does not fit this model: .*Missing key.*weight"):
        fit(model, moons()[0], checkpoint=path, resume=True, **options)
    with pytest.raises(ValueError, match="run.pt does not fit this scheduler: 'scheduler'"):
        run(2, rule="cosine", checkpoint=path, resume=True)


def test_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        checkpoints.load(tmp_path / "evil.pt", {}, None)

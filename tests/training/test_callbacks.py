"""accelerate as a callback: ours while a trainer trains, the same losses, and the model as before when it ends."""

import copy
import sys
import types
from importlib.machinery import ModuleSpec

import pytest
import torch

from scratchnet import nn, optim
from scratchnet.training import lightning_callback, trainer_callback

X, Y = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3


def stand_in(monkeypatch, name, **names):
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, name, module)


class Base:
    """A library's Callback."""


class Wrapper(torch.optim.Optimizer):
    """What the package accelerate puts around an optimizer."""

    def __init__(self, optimizer):
        self.optimizer = optimizer


def prepared():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)


def train(model, optimizer, scheduler):
    """The losses of three steps, the optimizer's class in each, and the learning rates."""
    losses, kinds, rates = [], [], []
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(X), Y)
        loss.backward()
        optimizer.step()
        rates += scheduler.get_last_lr()
        scheduler.step()
        losses.append(loss.item())
        kinds.append(type(optimizer))
    return losses, kinds, rates


def check(callback, begin, end, options):
    """A model with a scheduler, which has wrapped the optimizer's step by the time that training begins."""
    model, optimizer, scheduler = prepared()
    expected, _, rates = train(*prepared())
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(type(optimizer)))
    assert isinstance(callback, Base)
    begin(callback, model, optimizer)
    assert [type(layer) for layer in model] == [nn.Linear, nn.LayerNorm, nn.Linear]
    losses, kinds, seen = train(model, optimizer, scheduler)
    assert losses == pytest.approx(expected, rel=1e-5) and kinds == calls == [optim.AdamW] * 3 and seen == rates
    end(callback)
    assert [type(layer) for layer in model] == [torch.nn.Linear, torch.nn.LayerNorm, torch.nn.Linear]
    assert type(optimizer) is torch.optim.AdamW and (callback.reports[0].loss == "") == ("loss" in options)
    losses, kinds, _ = train(model, optimizer, scheduler)
    assert kinds == [torch.optim.AdamW] * 3 and losses[-1] < expected[-1]


@pytest.mark.parametrize("options", [{}, {"loss": False}], ids=str)
@pytest.mark.parametrize("around", [lambda optimizer: optimizer, Wrapper], ids=["plain", "wrapped"])
def test_transformers(monkeypatch, around, options):
    stand_in(monkeypatch, "transformers", TrainerCallback=Base)
    check(
        trainer_callback(**options),
        lambda callback, model, optimizer: callback.on_train_begin(0, 0, 0, model=model, optimizer=around(optimizer), other=1),
        lambda callback: callback.on_train_end(0, 0, 0, model=0),
        options,
    )


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
@pytest.mark.parametrize("library", ["lightning", "pytorch_lightning"])
def test_lightning(monkeypatch, library, end):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    stand_in(monkeypatch, library, Callback=Base)
    stand_in(monkeypatch, "lightning.pytorch", Callback=Base)
    trainer = types.SimpleNamespace()

    def begin(callback, model, optimizer):
        trainer.optimizers = [optimizer, torch.optim.SGD([torch.zeros(1)])]
        callback.on_train_start(trainer, model)
        assert type(trainer.optimizers[1]) is optim.SGD

    check(lightning_callback(), begin, lambda callback: getattr(callback, end)(*[0] * (2 + (end == "on_exception"))), {})
    assert type(trainer.optimizers[1]) is torch.optim.SGD


@pytest.mark.parametrize(("make", "package"), [(trainer_callback, "transformers"), (lightning_callback, "lightning")])
def test_what_is_missing_is_told(monkeypatch, make, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"^scratchnet.training.{make.__name__} needs .*: pip install {package}$"):
        make()


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("wrap", ["plain", "peft", "compiled"])
def test_the_trainer_of_transformers(tmp_path, wrap):
    transformers = pytest.importorskip("transformers", reason="pip install transformers")
    pytest.importorskip("accelerate", reason="pip install accelerate")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=50, num_key_value_heads=1, **sizes))
    if wrap == "peft":
        peft = pytest.importorskip("peft", reason="pip install peft")
        model = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    more = {"torch_compile": True, "torch_compile_backend": "aot_eager"} if wrap == "compiled" else {}
    options = {
        "max_steps": 3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
    words = torch.randint(50, (12, 7))
    losses = []
    for callbacks in ([], [trainer_callback()]):
        arguments = transformers.TrainingArguments(str(tmp_path), learning_rate=0.01, **options, **more)
        rows = [{"input_ids": row, "labels": row} for row in words]
        trained = copy.deepcopy(model)
        trainer = transformers.Trainer(trained, arguments, train_dataset=rows, callbacks=callbacks)
        trainer.train()
        losses.append([log["loss"] for log in trainer.state.log_history if "loss" in log])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5) and len(losses[0]) == 3
    report = callbacks[0].reports[0]
    assert report.swapped and report.optimizer == "scratchnet's AdamW now" and "loss_function" in report.loss
    assert not any("scratchnet" in type(module).__module__ for module in trained.modules())


@pytest.mark.filterwarnings("ignore")  # theirs
def test_the_trainer_of_lightning(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason="pip install lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.losses, self.kinds = prepared()[0], [], set()

        def training_step(self, batch):
            self.losses.append(torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1]))
            self.kinds |= {type(self.model[0]), type(self.trainer.optimizers[0])}
            return self.losses[-1]

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]

    runs = []
    for callbacks in ([], [lightning_callback()]):
        module = Module()
        options = {"max_epochs": 2, "logger": False, "enable_checkpointing": False, "accelerator": "cpu", "devices": 1}
        rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=6)
        trainer = lightning.Trainer(
            callbacks=callbacks, enable_progress_bar=False, default_root_dir=tmp_path, enable_model_summary=False, **options
        )
        trainer.fit(module, rows)
        runs.append(([loss.item() for loss in module.losses], module.kinds))
    assert runs[1][0] == pytest.approx(runs[0][0], rel=1e-5) and len(runs[0][0]) == 4
    assert runs[0][1] == {torch.nn.Linear, torch.optim.AdamW} and runs[1][1] == {nn.Linear, optim.AdamW}
    assert type(module.model[0]) is torch.nn.Linear

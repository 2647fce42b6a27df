"""Two processes train our layers with our optimizers just as one process does: tensor parallelism, FSDP2 and DDP, by value.

Forward, gradients and ten optimizer steps, all on two gloo processes that are started once.
"""

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.testing import assert_close
from two_processes import two_processes

import scratchnet
from scratchnet import nn, optim

STEPS = 10
OPTIMIZERS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.01, "weight_decay": 0.1},
    "AdamW": {"lr": 0.01, "amsgrad": True},
    "RMSprop": {"lr": 0.01, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 0.05},
}


class Model(nn.Module):
    """Every layer that the three plans act on: (B, T) tokens -> (B, T, 11) logits."""

    def __init__(self, library=nn):
        super().__init__()
        self.embed = library.Embedding(11, 8)
        self.norm = library.LayerNorm(8)
        self.drop = library.Dropout(0.0)
        self.up = library.Linear(8, 16)
        self.act = library.GELU()
        self.down = library.Linear(16, 8)
        self.last = library.RMSNorm(8)
        self.head = library.Linear(8, 11, bias=False)

    def forward(self, tokens):
        x = self.embed(tokens)
        x = x + self.down(self.act(self.up(self.drop(self.norm(x)))))
        return self.head(self.last(x))


def model(library=nn):
    torch.manual_seed(0)
    return Model(library).double()


def batch():
    torch.manual_seed(1)
    return torch.randint(11, (4, 6)), torch.randint(11, (4, 6))


def whole(t):
    return t.full_tensor() if isinstance(t, DTensor) else t


def train(run, parameters, optimizer, tokens, targets, mean=lambda loss: loss):
    """The first logits, the first gradients, the losses of all steps and the final parameters."""
    logits, gradients, losses = None, None, []
    for _ in range(STEPS):
        optimizer.zero_grad()
        y = run(tokens)
        logits = y.detach() if logits is None else logits
        loss = nn.functional.cross_entropy(y.flatten(0, 1), targets.flatten())
        loss.backward()
        if gradients is None:
            gradients = [whole(p.grad).clone() for p in parameters]
        optimizer.step()
        losses.append(mean(loss.detach()))
    return whole(logits), gradients, torch.stack(losses), [whole(p.detach()) for p in parameters]


def tensor_parallel(ours=None):
    """Megatron's plan: activations outside the products are sharded by time, the products by features."""
    mesh = init_device_mesh("cpu", (2,))
    plan = {
        "embed": RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1), use_local_output=False),
        "norm": SequenceParallel(),
        "drop": SequenceParallel(),
        "up": ColwiseParallel(input_layouts=Shard(1), use_local_output=False),
        "down": RowwiseParallel(output_layouts=Shard(1), use_local_output=False),
        "last": SequenceParallel(),
        "head": ColwiseParallel(input_layouts=Shard(1), output_layouts=Replicate()),
    }
    return parallelize_module(ours or model(), mesh, plan)


def sharded(ours=None):
    ours = ours or model()
    for layer in (ours.up, ours.down):
        fully_shard(layer)
    return fully_shard(ours)


def replicated(ours):
    return torch.nn.parallel.DistributedDataParallel(ours)


PLANS = {"tp": tensor_parallel, "fsdp": sharded, "ddp": replicated}


def accelerated(plan, first):
    """The model of torch's layers, accelerated first or last, with its optimizer; how many layers are ours; what undoes it."""
    plain = model(torch.nn)
    reports = [scratchnet.accelerate(plain)] if first else []
    parallel = PLANS[plan](plain)
    optimizer = torch.optim.AdamW(parallel.parameters(), **OPTIMIZERS["AdamW"])
    reports.append(scratchnet.accelerate(parallel, optimizer))

    def undo():
        for report in reversed(reports):
            report.undo()

    return parallel, optimizer, sum(len(report.swapped) for report in reports), undo


OF_8_BITS = {"lr": 0.01, "weight_decay": 0.1}


def in_8_bits(plan, *how):
    """What `train` says; along which axis each parameter was split; what a state_dict of another run and of this one say."""
    parallel = PLANS[plan](model())
    parameters = list(parallel.parameters())
    optimizer = optim.AdamW8bit(parameters, **OF_8_BITS)
    found, said = train(parallel, parameters, optimizer, *how), []
    single = optim.AdamW8bit(list(model().parameters()), **OF_8_BITS)
    for p in single.param_groups[0]["params"]:
        p.grad = torch.ones_like(p)
    single.step()
    for act in (optimizer.state_dict, lambda: optimizer.load_state_dict(single.state_dict())):
        try:
            act()
        except RuntimeError as error:
            said.append(str(error))
    placements = [p.placements[0] if isinstance(p, DTensor) else None for p in parameters]
    return found, [p.dim if isinstance(p, Shard) else None for p in placements], said


class Halves:
    """AdamW8bit on what each of two processes has of the parameters, in one process."""

    def __init__(self, parameters, axes):
        self.parameters, self.axes = parameters, axes
        split = [[p.detach()] if axis is None else p.detach().chunk(2, axis) for p, axis in zip(parameters, axes, strict=True)]
        self.halves = [[torch.nn.Parameter(half) for half in halves] for halves in split]  # they share the memory of p
        self.optimizer = optim.AdamW8bit([half for halves in self.halves for half in halves], **OF_8_BITS)

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    def step(self):
        for p, axis, halves in zip(self.parameters, self.axes, self.halves, strict=True):
            for half, grad in zip(halves, [p.grad] if axis is None else p.grad.chunk(2, axis), strict=True):
                half.grad = grad
        self.optimizer.step()


def average(loss):
    dist.all_reduce(loss)
    return loss / 2


def work(rank, results) -> None:
    scratchnet.backends._named = "cpp"
    tokens, targets = batch()
    half = [t.chunk(2)[rank] for t in (tokens, targets)]
    for name, options in OPTIMIZERS.items():
        make = lambda m, name=name, options=options: getattr(optim, name)(m.parameters(), **options)
        parallel = tensor_parallel()
        results["tp", name, rank] = train(parallel, list(parallel.parameters()), make(parallel), tokens, targets)
        fsdp = sharded()
        results["fsdp", name, rank] = train(fsdp, list(fsdp.parameters()), make(fsdp), *half, average)
        ddp = torch.nn.parallel.DistributedDataParallel(model())
        results["ddp", name, rank] = train(ddp, list(ddp.parameters()), make(ddp), *half, average)
    for plan in PLANS:
        results["8 bits", plan, rank] = in_8_bits(plan, *((tokens, targets) if plan == "tp" else (*half, average)))
    for first in (True, False):
        for plan in PLANS:
            ours, optimizer, swapped, undo = accelerated(plan, first)
            how = (tokens, targets) if plan == "tp" else (*half, average)
            found = train(ours, list(ours.parameters()), optimizer, *how)
            kinds = [scratchnet.accelerate(ours, dry_run=True).swapped, type(optimizer).__module__]
            undo()
            left = {kind.__name__ for m in ours.modules() for kind in type(m).__mro__ if "scratchnet" in kind.__module__}
            results["accelerated", plan, first, rank] = found, swapped, kinds, left
    kinds = {type(p).__name__ for p in (*parallel.parameters(), *fsdp.parameters())}
    results["kinds", rank] = kinds, type(fsdp.up).__mro__[2].__name__
    mesh = init_device_mesh("cpu", (2,))
    results["functions", rank] = functions(lambda t, dim: distribute_tensor(t, mesh, [Shard(dim)]))


def functions(place):
    """Our functions on arguments that `place(tensor, dim)` has sharded: what a user's own forward calls."""
    torch.manual_seed(2)
    x, w, table = torch.randn(6, 8), torch.randn(8, 4), torch.randn(10, 8)
    F = nn.functional
    results = [
        scratchnet.matmul(place(x, 0), place(w, 1)),
        scratchnet.mm(place(x, 0), place(w, 1)),
        scratchnet.bmm(place(x[None], 1), place(w[None], 2)),
        F.linear(place(x, 0), place(w.T.contiguous(), 0), activation="relu"),
        F.layer_norm(place(x, 0), (8,)),
        F.rms_norm(place(x, 0), (8,)),
        F.add_layer_norm(place(x, 0), place(x, 0), (8,))[1],
        F.gelu(place(x, 1), approximate="tanh"),
        F.softmax(place(x, 0), -1),
        scratchnet.logsumexp(place(x, 0), -1),
        F.embedding(place(torch.arange(6), 0), place(table, 1)),
        F.dropout(place(x, 0), 0.5, training=False),
    ]
    a, b = (place(t, 0).requires_grad_() for t in (x.clone(), x.flip(0)))
    for loss in (F.mse_loss, F.smooth_l1_loss, F.binary_cross_entropy_with_logits, F.triplet_margin_loss):
        value = loss(*(a, b, 2 * b)[: 3 if loss is F.triplet_margin_loss else 2])
        results += [value.detach(), *torch.autograd.grad(value, (a, b))]
    return [whole(y) for y in results]


@pytest.fixture(scope="module")
def results():
    return two_processes(work)


@pytest.mark.full  # two processes that train for a quarter of a minute
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("plan", ["tp", "fsdp", "ddp"])
def test_two_processes_train_as_one(results, plan, name):
    single = model(torch.nn)
    optimizer = getattr(torch.optim, name)(single.parameters(), **OPTIMIZERS[name])
    tokens, targets = batch()
    logits, *expected = train(single, list(single.parameters()), optimizer, tokens, targets)
    for rank in (0, 1):
        mine, *others = results[plan, name, rank]
        assert_close(mine, logits if plan == "tp" else logits.chunk(2)[rank])
        assert_close(others, expected)
    assert expected[1][-1] < expected[1][0]  # it learns


@pytest.mark.full
@pytest.mark.parametrize("plan", PLANS)
def test_moments_in_8_bits(results, plan):
    """Each process has the blocks of its own shards; what would make a file of them says so."""
    for rank in (0, 1):
        (mine, *others), axes, said = results["8 bits", plan, rank]
        single = model(torch.nn)
        parameters = list(single.parameters())
        logits, *expected = train(single, parameters, Halves(parameters, axes), *batch())
        assert_close(mine, logits if plan == "tp" else logits.chunk(2)[rank])
        assert_close(others, expected)
        assert expected[1][-1] < expected[1][0]  # it learns
        assert (set(axes), len(said)) == {"tp": ({None, 0, 1}, 2), "fsdp": ({0}, 2), "ddp": ({None}, 0)}[plan]
        assert not said or said[0].startswith("AdamW8bit.state_dict(): ") and "use optim.AdamW" in said[0]
        assert not said or "before it is sharded" in said[1]


@pytest.mark.parametrize("first", [True, False], ids=["accelerated first", "accelerated last"])
@pytest.mark.parametrize("plan", PLANS)
def test_an_accelerated_model(results, plan, first):
    """Torch's layers become ours before or after the model is split or replicated, and torch's again."""
    single = model(torch.nn)
    optimizer = torch.optim.AdamW(single.parameters(), **OPTIMIZERS["AdamW"])
    logits, *expected = train(single, list(single.parameters()), optimizer, *batch())
    for rank in (0, 1):
        (mine, *others), swapped, again, left = results["accelerated", plan, first, rank]
        assert_close(mine, logits if plan == "tp" else logits.chunk(2)[rank])
        assert_close(others, expected)
        assert (swapped, again, left) == (8, [[], "scratchnet.optim.adamw"], set())


def test_parameters_were_sharded(results):
    for rank in (0, 1):
        assert results["kinds", rank] == ({"DTensor"}, "Linear")


def test_functions_of_sharded_tensors(results):
    expected = functions(lambda t, dim: t)
    for rank in (0, 1):
        assert_close(results["functions", rank], expected)

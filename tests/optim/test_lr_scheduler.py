"""The schedules against torch's: bit-identical rates over 60 epochs, state_dicts both ways, warnings and errors."""

import copy
import inspect
import itertools
import math
import warnings

import pytest
import torch

from scratchnet import optim
from scratchnet.optim import lr_scheduler

OURS = ["LambdaLR", "StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR", "OneCycleLR", "SequentialLR"]
PLATEAU = "ReduceLROnPlateau"


class Halving:
    """A callable object: its numbers are part of the state_dict."""

    def __init__(self, every):
        self.every = every

    def __call__(self, epoch):
        return 0.5 ** (epoch // self.every)


CASES = [
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), Halving(7)]}),
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.9}),
    ("MultiStepLR", {"milestones": [3, 10, 10, 45]}),
    ("MultiStepLR", {"milestones": [30, 5], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 20}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30}),
    ("CosineAnnealingLR", {"T_max": 59}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 1e-3}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 62}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "epochs": 31, "steps_per_epoch": 2, "anneal_strategy": "linear", "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 70, "three_phase": True, "base_momentum": 0.7, "max_momentum": 0.8}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 61, "cycle_momentum": False, "div_factor": 10, "final_div_factor": 100}),
]
OPTIMIZERS = {"SGD": {"momentum": 0.9}, "Adam": {}}
THEIRS = torch.optim.lr_scheduler


def optimizer_of(library, name="SGD", lr=0.1):
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    second = torch.tensor(0.02, dtype=torch.float64) if isinstance(lr, torch.Tensor) else 0.02
    return getattr(library, name)([{"params": params[:1]}, {"params": params[1:], "lr": second}], lr=lr, **OPTIMIZERS[name])


def made(library, schedules, name, options, optimizer="SGD", lr=0.1):
    opt = optimizer_of(library, optimizer, copy.deepcopy(lr))
    return opt, getattr(schedules, name)(opt, **copy.deepcopy(options))


def settings(optimizer):
    return [[g["lr"], g.get("momentum"), g.get("betas")] for g in copy.deepcopy(optimizer.param_groups)]


def rates(optimizer, scheduler, epochs, step=lambda scheduler, epoch: scheduler.step()):
    seen = [(settings(optimizer), copy.deepcopy(scheduler.get_last_lr()))]
    for epoch in range(epochs):
        optimizer.step()
        step(scheduler, epoch)
        seen.append((settings(optimizer), copy.deepcopy(scheduler.get_last_lr())))
    return seen


def comparable(state):
    return {key: list(map(comparable, value)) if key == "_schedulers" else value for key, value in state.items()}


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1, dtype=torch.float64)], ids=["float", "tensor"])
@pytest.mark.parametrize("library", [optim, torch.optim], ids=["ours", "torch"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_rates(name, options, optimizer, library, lr):
    ours = made(library, lr_scheduler, name, options, optimizer, lr)
    theirs = made(torch.optim, THEIRS, name, options, optimizer, lr)
    held = ours[0].param_groups[0]["lr"]
    seen = rates(*ours, 60)
    assert seen == rates(*theirs, 60)
    assert len({float(groups[0][0]) for groups, _ in seen}) > 1
    assert isinstance(ours[1], type(theirs[1])) and type(ours[1]) is not type(theirs[1])
    assert comparable(ours[1].state_dict()) == comparable(theirs[1].state_dict())
    if isinstance(lr, torch.Tensor):
        assert ours[0].param_groups[0]["lr"] is held  # changed in place
        ours[1].get_last_lr()[0].fill_(7)
        assert held != 7


@pytest.mark.parametrize(("name", "options"), CASES)
def test_closed_form(name, options):
    results = []
    for library, schedules in ((optim, lr_scheduler), (torch.optim, THEIRS)):
        optimizer, scheduler = made(library, schedules, name, options)
        optimizer.step()
        seen = []
        for epoch in (5, 0, 1, 10, 11, 31, 3, 59):
            with pytest.warns(UserWarning, match="epoch parameter in `scheduler.step\\(\\)`"):
                scheduler.step(epoch)
            seen.append((settings(optimizer), scheduler.get_last_lr(), scheduler.last_epoch))
        results.append(seen)
    assert results[0] == results[1]


@pytest.mark.parametrize("direction", ["ours to torch", "torch to ours", "ours to ours"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_state_dict(name, options, direction):
    source, target = ((lr_scheduler if side == "ours" else THEIRS) for side in direction.split(" to "))
    first_optimizer, first = made(optim, source, name, options)
    second_optimizer, second = made(optim, target, name, options)
    rates(first_optimizer, first, 17)
    state = copy.deepcopy(first.state_dict())
    kept = copy.deepcopy(state)
    second.load_state_dict(state)
    assert state == kept
    second_optimizer.load_state_dict(copy.deepcopy(first_optimizer.state_dict()))
    assert rates(first_optimizer, first, 30) == rates(second_optimizer, second, 30)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_last_epoch(name, options):
    """Created halfway, over an optimizer whose state was loaded."""
    results = []
    for library, schedules in ((optim, lr_scheduler), (torch.optim, THEIRS)):
        optimizer, scheduler = made(library, schedules, name, options)
        rates(optimizer, scheduler, 12)
        again = optimizer_of(library)
        again.load_state_dict(optimizer.state_dict())
        results.append(rates(again, getattr(schedules, name)(again, **copy.deepcopy(options), last_epoch=12), 20))
        with pytest.raises(KeyError, match="'initial_lr' is not specified in param_groups"):
            fresh = {**copy.deepcopy(options), "cycle_momentum": False} if name == "OneCycleLR" else copy.deepcopy(options)
            getattr(schedules, name)(optimizer_of(library), **fresh, last_epoch=3)
    assert results[0] == results[1]


def sequence(schedules, optimizer, nested=False):
    S = schedules
    parts = [S.LinearLR(optimizer, 0.1, total_iters=4), S.CosineAnnealingLR(optimizer, 20), S.StepLR(optimizer, 3, 0.5)]
    if nested:
        inner = S.SequentialLR(optimizer, parts[:2], [5])
        return S.SequentialLR(optimizer, [inner, S.ExponentialLR(optimizer, 0.9)], [30])
    return S.SequentialLR(optimizer, parts, milestones=[5, 25])


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1, dtype=torch.float64)], ids=["float", "tensor"])
def test_sequential(lr, nested):
    results, states = [], []
    for library, schedules in ((optim, lr_scheduler), (torch.optim, THEIRS), (torch.optim, lr_scheduler)):
        optimizer = optimizer_of(library, lr=copy.deepcopy(lr))
        scheduler = sequence(schedules, optimizer, nested)
        results.append(rates(optimizer, scheduler, 60))
        states.append(comparable(scheduler.state_dict()))
    assert results[0] == results[1] == results[2] and states[0] == states[1] == states[2]


@pytest.mark.parametrize("direction", ["ours to torch", "torch to ours"])
def test_state_dict_of_a_sequence(direction):
    source, target = ((lr_scheduler if side == "ours" else THEIRS) for side in direction.split(" to "))
    first_optimizer, second_optimizer = optimizer_of(optim), optimizer_of(optim)
    first, second = sequence(source, first_optimizer), sequence(target, second_optimizer)
    rates(first_optimizer, first, 17)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second_optimizer.load_state_dict(copy.deepcopy(first_optimizer.state_dict()))
    assert rates(first_optimizer, first, 30) == rates(second_optimizer, second, 30)


def test_chained_by_hand_and_by_torchs():
    """Two schedules over one optimizer multiply."""
    results = []
    for schedules in (lr_scheduler, THEIRS):
        optimizer = optimizer_of(optim)
        both = [schedules.ExponentialLR(optimizer, 0.9), schedules.MultiStepLR(optimizer, [4, 9])]
        results.append(rates(optimizer, both[0], 20, lambda _, epoch, both=both: [s.step() for s in both]))
        optimizer = optimizer_of(optim)
        both = [schedules.StepLR(optimizer, 5), schedules.LinearLR(optimizer)]
        results.append(rates(optimizer, lr_scheduler.ChainedScheduler(both), 20))
    assert results[:2] == results[2:]


METRICS = [math.sin(epoch) / (1 + epoch // 9) for epoch in range(60)]
PLATEAU_CASES = [
    {},
    {"patience": 2, "factor": 0.5},
    {"mode": "max", "patience": 3, "cooldown": 4},
    {"patience": 1, "threshold": 0.05, "threshold_mode": "abs", "min_lr": 1e-3},
    {"mode": "max", "threshold": 0.1, "threshold_mode": "abs", "patience": 0, "min_lr": [1e-2, 1e-5]},
    {"patience": 0, "eps": 1e-3},
]


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1, dtype=torch.float64)], ids=["float", "tensor"])
@pytest.mark.parametrize("options", PLATEAU_CASES)
def test_plateau(options, lr):
    results, states = [], []
    for library, schedules in itertools.product((optim, torch.optim), (lr_scheduler, THEIRS)):
        optimizer, scheduler = made(library, schedules, PLATEAU, options, lr=lr)
        results.append(
            rates(optimizer, scheduler, 60, lambda s, epoch: s.step(torch.tensor(METRICS[epoch], dtype=torch.float64)))
        )
        states.append(scheduler.state_dict())
        assert scheduler.in_cooldown == (scheduler.cooldown_counter > 0)
    assert all(result == results[0] for result in results) and all(state == states[0] for state in states)
    assert isinstance(made(optim, lr_scheduler, PLATEAU, {})[1], THEIRS.ReduceLROnPlateau)  # training loops look for it


@pytest.mark.parametrize("direction", ["ours to torch", "torch to ours"])
@pytest.mark.parametrize("options", PLATEAU_CASES)
def test_state_dict_of_a_plateau(options, direction):
    source, target = ((lr_scheduler if side == "ours" else THEIRS) for side in direction.split(" to "))
    first_optimizer, first = made(optim, source, PLATEAU, options)
    second_optimizer, second = made(optim, target, PLATEAU, {})
    rates(first_optimizer, first, 20, lambda s, epoch: s.step(METRICS[epoch]))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second_optimizer.load_state_dict(copy.deepcopy(first_optimizer.state_dict()))
    results = [
        rates(o, s, 30, lambda s, epoch: s.step(METRICS[20 + epoch]))
        for o, s in ((first_optimizer, first), (second_optimizer, second))
    ]
    assert results[0] == results[1]


def test_a_group_added_later():
    optimizer, scheduler = made(optim, lr_scheduler, PLATEAU, {"patience": 0, "min_lr": [0.01, 0.01]})
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})
    with pytest.raises(RuntimeError, match="The number of param groups in the `optimizer` \\(3\\) differs.*\\(2\\)"):
        [scheduler.step(1.0) for _ in range(3)]
    optimizer, scheduler = made(optim, lr_scheduler, PLATEAU, {"patience": 0})
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})
    [scheduler.step(1.0) for _ in range(2)]
    assert optimizer.param_groups[2]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize("name", [*OURS, PLATEAU])
def test_signature(name):
    ours, theirs = (inspect.signature(getattr(s, name)).parameters.values() for s in (lr_scheduler, THEIRS))
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]


def test_names():
    assert set(lr_scheduler.__all__) == set(THEIRS.__all__)
    assert all(getattr(lr_scheduler, name) is getattr(THEIRS, name) for name in set(THEIRS.__all__) - {*OURS, PLATEAU})


@pytest.mark.parametrize("library", [optim, torch.optim], ids=["ours", "torch"])
def test_warnings(library):
    optimizer, scheduler = made(library, lr_scheduler, "StepLR", {"step_size": 2})
    with pytest.warns(UserWarning, match="Detected call of `lr_scheduler.step\\(\\)` before `optimizer.step\\(\\)`") as caught:
        scheduler.step()
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="please use `get_last_lr\\(\\)`") as caught:
        scheduler.get_lr()
    assert caught[0].filename == __file__
    optimizer, scheduler = made(library, lr_scheduler, PLATEAU, {})
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(1.0, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates(*made(library, lr_scheduler, "CosineAnnealingLR", {"T_max": 5}), 5)


def twice(schedules, optimizer):
    return [schedules.StepLR(optimizer, 2), schedules.StepLR(optimizer, 2)]


WRONG = [
    ("StepLR", lambda s, o: ((3, 2), {}), "int is not an Optimizer"),
    ("LambdaLR", lambda s, o: ((o, [abs]), {}), "Expected 2 lr_lambdas, but got 1: one per parameter group"),
    ("LinearLR", lambda s, o: ((o, 0), {}), "Starting multiplicative factor expected to be greater than 0.*It is 0"),
    ("LinearLR", lambda s, o: ((o, 1.5), {}), "Starting multiplicative factor"),
    ("LinearLR", lambda s, o: ((o, 0.5, -1), {}), "Ending multiplicative factor expected to be between 0 and 1. It is -1"),
    (PLATEAU, lambda s, o: ((o,), {"factor": 1.0}), "Factor should be < 1.0"),
    (PLATEAU, lambda s, o: ((3,), {}), "int is not an Optimizer"),
    (PLATEAU, lambda s, o: ((o,), {"mode": "low"}), "mode low is unknown! It is one of 'min' and 'max'"),
    (PLATEAU, lambda s, o: ((o,), {"threshold_mode": "x"}), "threshold mode x is unknown! It is one of 'rel'"),
    (PLATEAU, lambda s, o: ((o,), {"min_lr": [0.1]}), "expected 2 min_lrs, got 1"),
    ("OneCycleLR", lambda s, o: ((3, 0.1, 5), {}), "int is not an Optimizer"),
    ("OneCycleLR", lambda s, o: ((o, 0.1), {}), "total_steps OR \\(epochs AND steps_per_epoch\\)"),
    ("OneCycleLR", lambda s, o: ((o, 0.1), {"epochs": 3}), "total_steps OR"),
    ("OneCycleLR", lambda s, o: ((o, 0.1, 0), {}), "Expected positive integer total_steps, but got 0"),
    (
        "OneCycleLR",
        lambda s, o: ((o, 0.1), {"epochs": 1.5, "steps_per_epoch": 2}),
        "Expected positive integer epochs, but got 1.5",
    ),
    ("OneCycleLR", lambda s, o: ((o, 0.1), {"epochs": 1, "steps_per_epoch": -2}), "Expected positive integer steps_per_epoch"),
    ("OneCycleLR", lambda s, o: ((o, 0.1, 9), {"pct_start": 2.0}), "Expected float between 0 and 1 pct_start, but got 2.0"),
    ("OneCycleLR", lambda s, o: ((o, 0.1, 9), {"anneal_strategy": "x"}), "anneal_strategy must be one of 'cos' or 'linear'"),
    ("OneCycleLR", lambda s, o: ((o, [0.1], 9), {}), "max_lr must have the same length as optimizer.param_groups"),
    (
        "OneCycleLR",
        lambda s, o: ((torch.optim.Rprop([torch.nn.Parameter(torch.ones(1))]), 0.1, 9), {}),
        "must support momentum",
    ),
    ("SequentialLR", lambda s, o: ((o, [], []), {}), "expects at least one scheduler, but got no scheduler"),
    ("SequentialLR", lambda s, o: ((o, [3], []), {}), "at index 0 should have `optimizer` as its attribute.*not int"),
    ("SequentialLR", lambda s, o: ((o, [s.ReduceLROnPlateau(o)], []), {}), "does not support `ReduceLROnPlateau`.*index 0"),
    (
        "SequentialLR",
        lambda s, o: ((o, twice(s, optimizer_of(optim)), [2]), {}),
        "belong to the same optimizer.*StepLR at index 0",
    ),
    ("SequentialLR", lambda s, o: ((o, twice(s, o), [2, 3]), {}), "number of schedulers 2 and the number of milestones.*2"),
]


@pytest.mark.parametrize(("name", "give", "message"), WRONG)
def test_wrong_calls(name, give, message):
    errors = []
    for schedules in (THEIRS, lr_scheduler):
        args, kwargs = give(schedules, optimizer_of(optim))
        with pytest.raises(Exception) as caught:
            getattr(schedules, name)(*args, **kwargs)
        errors.append(caught)
    assert errors[0].type is errors[1].type
    assert errors[1].match(f"(?s){message}")


def test_a_step_too_many():
    optimizer, scheduler = made(optim, lr_scheduler, "OneCycleLR", {"max_lr": 0.1, "total_steps": 5})
    rates(optimizer, scheduler, 5)
    with pytest.raises(
        ValueError, match="Tried to step 6 times. The specified number of total steps is 5: OneCycleLR counts batches"
    ):
        scheduler.step()

"""BatchNorm1d and BatchNorm2d through training and evaluation, beside torch's: outputs, gradients, state; old checkpoints."""

import copy

import pytest
import torch
from torch.testing import assert_close

import scratchnet.nn as nn

common_modules = pytest.importorskip(
    "torch.testing._internal.common_modules", reason="needs expecttest: pip install expecttest"
)
INFOS = {i.module_cls.__name__: i for i in common_modules.module_db if i.module_cls.__name__ in ("BatchNorm1d", "BatchNorm2d")}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", INFOS)
def test_training_and_evaluation(name, dtype):
    """PyTorch's samples: two training steps, then an evaluation with the resulting state."""
    for sample in INFOS[name].module_inputs_func(INFOS[name], "cpu", dtype, requires_grad=False, training=True):
        construct, (x,) = sample.constructor_input, sample.forward_input.args
        ours, theirs = (getattr(lib, name)(*construct.args, **construct.kwargs).to(dtype) for lib in (nn, torch.nn))
        for step in range(3):
            ours.train(step < 2), theirs.train(step < 2)
            mine, wanted = ((2 * x + step).requires_grad_() for _ in range(2))
            y, expected = ours(mine), theirs(wanted)
            assert_close(y, expected, equal_nan=True)
            assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), equal_nan=True)
            grad = torch.randn_like(expected)
            gradients = (
                torch.autograd.grad(out, [leaf, *module.parameters()], grad)
                for out, leaf, module in ((y, mine, ours), (expected, wanted, theirs))
            )
            assert_close(next(gradients), next(gradients), equal_nan=True)


@pytest.mark.parametrize("name", INFOS)
def test_pytorchs_wrong_calls(name):
    for wrong in INFOS[name].module_error_inputs_func(INFOS[name], "cpu", torch.float32, requires_grad=False, training=True):
        construct, arguments = wrong.module_error_input.constructor_input, wrong.module_error_input.forward_input
        with pytest.raises(wrong.error_type, match=wrong.error_regex):
            getattr(nn, name)(*construct.args, **construct.kwargs)(*arguments.args, **arguments.kwargs)


def test_another_number_of_axes():
    with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 4D input\)"):
        nn.BatchNorm1d(3)(torch.ones(2, 3, 4, 4))
    with pytest.raises(ValueError, match=r"expected 4D input \(got 3D input\)"):
        nn.BatchNorm2d(3)(torch.ones(2, 3, 4))


def test_one_sample_trains_nothing():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training, got input size .*1, 3.*eval"):
        layer(torch.ones(1, 3))
    assert layer.eval()(torch.ones(1, 3)).shape == (1, 3)


def test_without_momentum_the_mean_over_all_batches():
    layer, batches = nn.BatchNorm1d(2, momentum=None), torch.randn(5, 7, 2)
    for batch in batches:
        layer(batch)
    assert layer.num_batches_tracked == 5
    assert_close(layer.running_mean, batches.mean((0, 1)))
    assert_close(layer.running_var, batches.var(1).mean(0))


def test_checkpoints_without_a_version():
    """Before version 2 of the state there was no num_batches_tracked: it stays what it is."""
    for library in (nn, torch.nn):
        old = dict(library.Sequential(library.BatchNorm2d(3)).state_dict())
        del old["0.num_batches_tracked"]
        old["0.running_mean"] = torch.ones(3)
        model = nn.Sequential(nn.BatchNorm2d(3))
        model[0].num_batches_tracked.fill_(4)
        model.load_state_dict(copy.deepcopy(old))
        assert model[0].num_batches_tracked == 4 and torch.equal(model[0].running_mean, torch.ones(3))
    new = nn.BatchNorm2d(3).state_dict()
    assert new._metadata[""]["version"] == 2
    del new["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="Missing key.*num_batches_tracked"):
        nn.BatchNorm2d(3).load_state_dict(new)


@pytest.mark.parametrize("tracked", (True, False))
def test_compiled(tracked):
    ours, theirs = (lib.BatchNorm2d(3, track_running_stats=tracked) for lib in (nn, torch.nn))
    run = torch.compile(ours, fullgraph=True, backend="aot_eager")
    for step in range(3):
        ours.train(step < 2), theirs.train(step < 2)
        x = torch.randn(2, 3, 4, 4)
        assert_close(run(x), theirs(x))
        assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))


def test_a_convolutional_classifier_is_a_drop_in():
    """Normalised, pooled in all three ways, and trained like its torch twin."""

    def build(lib):
        torch.manual_seed(0)
        return lib.Sequential(
            lib.BatchNorm2d(3),
            lib.MaxPool2d(3, 2, 1),
            lib.ReLU(),
            lib.AvgPool2d(2),
            lib.BatchNorm2d(3, affine=False),
            lib.AdaptiveAvgPool2d((2, 1)),
            lib.Flatten(),
            lib.BatchNorm1d(6),
            lib.Linear(6, 4),
        )

    ours, theirs = build(nn).double(), build(torch.nn).double()
    assert repr(ours) == repr(theirs)
    x, target = torch.randn(8, 3, 13, 11, dtype=torch.float64), torch.randint(4, (8,))
    for model in (ours, theirs):
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), target).backward()
            optimizer.step()
    assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    theirs.load_state_dict(ours.state_dict())
    assert_close(ours.eval()(x), theirs.eval()(x))

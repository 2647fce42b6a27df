"""PyTorch's own optimizer samples and error inputs (OptimizerInfo), for the compiled steps and for the formulas."""

import copy
import warnings

import pytest
import torch
from torch.testing import assert_close

import scratchnet
from scratchnet import optim

common = pytest.importorskip("torch.testing._internal.common_optimizers", reason="internal to torch; it needs expecttest")
pytestmark = pytest.mark.filterwarnings("error::scratchnet.TeachingWarning")  # correct programs never see one
INFOS = [info for info in common.optim_db if info.optim_cls.__name__ in optim.__all__]
NAMES = [info.optim_cls.__name__ for info in INFOS]
SAMPLES = [
    pytest.param(name, sample.kwargs, id=f"{name}-{sample.desc}")
    for name, info in zip(NAMES, INFOS, strict=True)
    for sample in info.optim_inputs_func(device="cpu", dtype=torch.float64)
    if name != "Muon"  # takes matrices and rounds to bfloat16: test_muon.py
]
ERRORS = [
    pytest.param(name, error, id=f"{name}-{error.optimizer_error_input.desc}")
    for name, info in zip(NAMES, INFOS, strict=True)
    for error in info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
    if not error.optimizer_error_input.kwargs.get("foreach")  # a tensor lr or beta: a limit only of torch's foreach
]


def test_all_are_judged():
    assert set(NAMES) == {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Muon"}


@pytest.mark.parametrize("backend", ["cpp", "reference"])
@pytest.mark.parametrize(("name", "kwargs"), SAMPLES)
def test_sample(name, kwargs, backend):
    if kwargs.get("capturable"):
        kwargs = {key: value for key, value in kwargs.items() if key != "capturable"}  # torch's needs an accelerator
    results = []
    for library in (optim, torch.optim):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
        x = torch.randn(8, 3, dtype=torch.float64)
        optimizer = getattr(library, name)(model.parameters(), **copy.deepcopy(kwargs))
        with scratchnet.backend(backend):
            for _ in range(10):
                optimizer.zero_grad()
                model(x).square().sum().backward()
                optimizer.step()
        results.append([*model.parameters(), *[value for state in optimizer.state.values() for value in state.values()]])
    bound = 1e-6 if any(isinstance(value, torch.Tensor) for value in kwargs.values()) else 1e-11  # a tensor lr is float32
    for a, b in zip(*results, strict=True):
        assert_close(a, b, rtol=bound, atol=bound)


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_error_input(name, error):
    given = error.optimizer_error_input
    params = [torch.nn.Parameter(torch.randn(2, 2))] if given.params is None else given.params
    with warnings.catch_warnings(), pytest.raises(error.error_type, match=error.error_regex):
        warnings.simplefilter("error")
        optimizer = getattr(optim, name)(params, **given.kwargs)
        assert error.error_on == common.OptimizerErrorEnum.STEP_ERROR
        optimizer.step()

"""The compiled steps against float64 and against the formulas, and what they leave to the formulas."""

import copy
import warnings

import pytest
import torch
from test_optimizers import CASES, NAMES, OPTIONS, parameters, set_gradients
from torch.testing import assert_close

import scratchnet
from scratchnet import optim
from scratchnet.optim.rule import Rule

pytestmark = pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
RUNGS = ["cpp:1", "cpp:2"]
EXTRA = {"SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {"momentum": 0.9, "centered": True}, "Adam": {"amsgrad": True}}
USUAL = [(name, {"weight_decay": 0.1, **EXTRA.get(name, {})}) for name in NAMES]  # every state tensor is in use


@pytest.fixture
def formula_calls(monkeypatch):
    """The parameters that the formulas updated, in order."""
    seen = []
    for name in ("SGD", "Adam", "RMSprop", "Adagrad"):
        rule = getattr(optim, name)
        plain = rule.update
        monkeypatch.setattr(rule, "update", lambda self, p, *args, plain=plain: (seen.append(p), plain(self, p, *args))[1])
    return seen


def built(name, params, **options):
    """An optimizer after a first step: SGD's momentum starts with the formula."""
    optimizer = getattr(optim, name)(params, **options)
    optimizer.step()
    return optimizer


def clones(tensors):
    return [torch.nn.Parameter(t.detach().clone()) for t in tensors]


def train(library, name, options, start, dtype):
    """The parameters after a hundred steps; `start` and all gradients are representable in start's dtype."""
    params = [torch.nn.Parameter(p.detach().to(dtype, copy=True)) for p in start]
    optimizer = getattr(library, name)(params, **copy.deepcopy(options))
    twins = clones(start)
    for step in range(100):
        set_gradients(twins, step)
        for p, twin in zip(params, twins, strict=True):
            if twin.grad is not None and twin.dtype == torch.float16:  # the squares of larger ones are out of its range
                twin.grad = twin.grad.sign() * (0.5 + torch.rand(p.shape, generator=torch.Generator().manual_seed(step)).half())
            p.grad = None if twin.grad is None else torch.empty_like(p).copy_(twin.grad)
        optimizer.step()
    return params


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_error_after_a_hundred_steps(name, options, dtype):
    """error(ours) <= 2 * error(torch) + 2 ulp of the largest number, both from torch's float64."""
    if isinstance(options.get("betas", (0.0,))[0], torch.Tensor):
        options = {**options, "betas": tuple(beta.item() for beta in options["betas"])}
    start = parameters(dtype)
    exact = train(torch.optim, name, options, start, torch.float64)
    eps = torch.finfo(dtype).eps

    def error(params):
        """Relative to the largest number that each parameter held, at the start or at the end."""
        held = [max(e.abs().max(), p.abs().max()) if e.numel() else 0 for e, p in zip(exact, start, strict=True)]
        triples = zip(params, exact, held, strict=True)
        return max(float((p.double() - e).abs().max() / size) for p, e, size in triples if p.numel())

    bound = 2 * error(train(torch.optim, name, options, start, dtype)) + 2 * eps
    for rung in RUNGS:
        with scratchnet.backend(rung):
            assert error(train(optim, name, options, start, dtype)) <= bound


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize(("name", "options"), CASES + USUAL)
def test_one_step_in_float64(name, options, rung, formula_calls):
    """From the same state, within a few ulp of the formula, in parameters and state."""
    params = parameters(torch.float64)
    optimizer = getattr(optim, name)(params, **copy.deepcopy(options))
    with scratchnet.backend("reference"):
        for _ in range(5):
            for p in params:
                p.grad = torch.randn_like(p)
            optimizer.step()
    twin = copy.deepcopy(optimizer)
    for p, q in zip(params, twin.param_groups[0]["params"], strict=True):
        q.grad = p.grad.clone()
    with scratchnet.backend("reference"):
        twin.step()
    del formula_calls[:]
    with scratchnet.backend(rung):
        optimizer.step()
    assert bool(formula_calls) == (options.get("fused") is False)
    # torch keeps an lr or beta that is a float32 tensor in float32 in every product; a kernel continues in float64.
    single = any(
        isinstance(v, torch.Tensor) for option in options.values() for v in (option if type(option) is tuple else [option])
    )
    bound = 4 * torch.finfo(torch.float32 if single else torch.float64).eps
    for p, q in zip(params, twin.param_groups[0]["params"], strict=True):
        assert_close(p, q, rtol=bound, atol=bound)
        assert list(optimizer.state[p]) == list(twin.state[q])
        for a, b in zip(optimizer.state[p].values(), twin.state[q].values(), strict=True):
            assert_close(a, b, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "options"), USUAL)
def test_the_same_bits_for_any_cut_and_any_number_of_threads(name, options, dtype):
    """One long parameter, or the same numbers in many odd pieces: an update depends only on its own element."""
    whole, gradients = torch.randn(70_001, dtype=torch.float64).to(dtype), torch.randn(3, 70_001, dtype=torch.float64).to(dtype)
    sizes = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 1023, 1024, 1025, 40_000]
    sizes.append(len(whole) - sum(sizes))
    results = []
    for cut in ([len(whole)], sizes):
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            params = clones(whole.split(cut))
            optimizer = getattr(optim, name)(params, **options)
            if name == "SGD":  # otherwise the first step is the formula's
                for p in params:
                    optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
            for step in range(3):
                for p, grad in zip(params, gradients[step].split(cut), strict=True):
                    p.grad = grad.clone()
                optimizer.step()
            results.append(torch.cat([p.detach() for p in params]))
    assert not torch.equal(results[0], whole)
    assert all(torch.equal(results[0], result) for result in results[1:])


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize(("name", "options"), USUAL)
def test_not_finite(name, options, rung):
    """NaN and infinity appear where they do with the formula, and nowhere else."""
    results = []
    for backend in (rung, "reference"):
        p = torch.nn.Parameter(torch.arange(40.0))
        optimizer = getattr(optim, name)([p], **options)
        with scratchnet.backend(backend):
            for step in range(4):
                p.grad = torch.ones(40)
                p.grad[3], p.grad[20], p.grad[39] = [(torch.nan, torch.inf, -torch.inf), (1, 1, 1)][step % 2]
                optimizer.step()
        results.append(p.detach())
    assert_close(*results, equal_nan=True, rtol=1e-5, atol=1e-5)
    assert results[0].isnan().sum() >= 1 and results[0][4:20].isfinite().all()


def channels_last():
    p = torch.nn.Parameter(torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last))
    p.grad = torch.randn_like(p)
    return [p]


def other_strides():
    p = torch.nn.Parameter(torch.randn(4, 6).t())
    p.grad = torch.randn(6, 4)
    return [p]


def with_gaps():
    p = torch.nn.Parameter(torch.randn(4, 6)[:, ::2])
    p.grad = torch.randn(4, 6)[:, ::2]
    return [p]


def a_complex_one():
    p = torch.nn.Parameter(torch.randn(3, dtype=torch.complex64))
    p.grad = torch.randn_like(p)
    return [p]


class Own(torch.Tensor):
    pass


def a_subclass():
    p = torch.nn.Parameter(torch.randn(3).as_subclass(Own))
    p.grad = torch.randn(3)
    return [p]


def overlapping():
    memory = torch.randn(10)
    params = [torch.nn.Parameter(memory[:6]), torch.nn.Parameter(memory[4:])]
    for p in params:
        p.grad = torch.randn(6)
    return params


def twice():
    p = torch.nn.Parameter(torch.randn(5))
    p.grad = torch.randn(5)
    return [p, p]


@pytest.mark.parametrize(
    ("make", "left"),
    [(channels_last, 0), (other_strides, 1), (with_gaps, 1), (a_complex_one, 1), (a_subclass, 1), (overlapping, 1), (twice, 1)],
)
@pytest.mark.parametrize(("name", "options"), USUAL)
def test_what_the_kernels_leave_to_the_formulas(name, options, make, left, formula_calls):
    results = []
    for backend in ("reference", None):
        torch.manual_seed(1)
        params = make()
        easy = torch.nn.Parameter(torch.arange(9.0))
        easy.grad = torch.ones(9)
        with scratchnet.backend(backend), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer = getattr(optim, name)([easy, *params], **options)
            optimizer.step()
            del formula_calls[:]
            optimizer.step()
        results.append([easy, *params])
        assert len(formula_calls) == (left if backend is None else 1 + len(params))
    for a, b in zip(*results, strict=True):
        assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), USUAL)
def test_several_dtypes_in_a_group(name, options):
    """Each parameter is updated as it is alone."""
    results = []
    for together in (True, False):
        torch.manual_seed(1)
        params = [torch.nn.Parameter(torch.randn(9, dtype=dtype)) for dtype in (*DTYPES, torch.complex64)]
        if options.get("centered"):  # here torch's formula, too, takes the root of a negative number
            params.pop()
        optimizers = [getattr(optim, name)(group, **options) for group in ([params] if together else [[p] for p in params])]
        for _ in range(3):
            for p in params:
                p.grad = torch.randn_like(p)
            for optimizer in optimizers:
                optimizer.step()
        results.append(params)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_where_the_formulas_run(name, formula_calls):
    def calls(backend=None, step=None, **options):
        del formula_calls[:]
        p = torch.ones(3)  # requires no gradient: it may change in place while autograd records
        p.grad = torch.ones(3)
        optimizer = getattr(optim, name)([p], **options)
        with scratchnet.backend(backend):
            (step or type(optimizer).step)(optimizer)
        return len(formula_calls)

    assert [calls(backend) for backend in (None, "cpp", "cpp:1", "reference", "numpy")] == [0, 0, 0, 1, 1]
    assert calls(differentiable=True) == 1
    if name != "RMSprop":
        assert calls(fused=False) == 1 and calls(fused=True) == 0
    if name not in ("SGD", "Adagrad"):
        assert calls(capturable=True) == 1
    assert calls(step=lambda optimizer: torch.compile(optimizer.step, backend="eager")()) == 1


@pytest.mark.parametrize(("name", "options"), USUAL)
def test_autograd_is_told(name, options):
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer = built(name, [p], **options)
    loss = p.square().sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    versions = {key: value._version for key, value in optimizer.state[p].items()}
    optimizer.step()
    assert all(optimizer.state[p][key]._version > version for key, version in versions.items())


@pytest.mark.parametrize("name", NAMES)
def test_inference_mode(name):
    with torch.inference_mode():
        p = torch.nn.Parameter(torch.ones(3))
        p.grad = torch.ones(3)
        built(name, [p])
        assert (p < 1).all()


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adagrad"])
def test_step_counts_of_a_float64_program(name):
    torch.set_default_dtype(torch.float64)
    try:
        p = torch.nn.Parameter(torch.ones(3))
        p.grad = torch.ones(3)
        optimizer = built(name, [p])
        assert optimizer.state[p]["step"].dtype == torch.float64 and optimizer.state[p]["step"] == 1
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("backend", ["reference", "cpp"])
@pytest.mark.parametrize(
    ("name", "options"), [("Adam", {}), ("AdamW", {}), ("RMSprop", {}), ("Adagrad", {"weight_decay": 0.1})]
)
def test_nothing_is_written_before_sparse_gradients_are_refused(name, options, backend):
    dense, sparse = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    dense.grad, sparse.grad = torch.ones(3), torch.ones(3).to_sparse()
    results = []
    for library in (torch.optim, optim):
        optimizer = getattr(library, name)([{"params": [dense]}, {"params": [sparse]}], **options)
        with scratchnet.backend(backend), pytest.raises(RuntimeError, match="sparse gradients") as caught:
            optimizer.step()
        results.append(caught)
        assert library is torch.optim or torch.equal(dense, torch.ones(3)) and torch.equal(sparse, torch.ones(3))
        dense.data.fill_(1)
    assert not optimizer.state[dense] or optimizer.state[dense]["step"] == 0


def test_sparse_rows_of_adagrad():
    results = []
    for library in (optim, torch.optim):
        torch.manual_seed(0)
        table = torch.nn.Embedding(6, 3, sparse=True)
        optimizer = library.Adagrad(table.parameters(), lr=0.1, lr_decay=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            table(torch.tensor([1, 1, 4])).square().sum().backward()
            optimizer.step()
        results.append([table.weight, optimizer.state[table.weight]["sum"]])
    for a, b in zip(*results, strict=True):
        assert_close(a, b, rtol=1e-6, atol=1e-6)


ADAM = (0.1, 0.9, 0.999, 1e-8, 0.0, False, False, False, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grads": [torch.ones(3)]}, "params and grads must have the same length"),
        ({"grads": [torch.ones(3), torch.ones(4)]}, "grads and states must have the shape and device of params"),
        ({"steps": [torch.tensor(0.0)]}, "steps must have the length of params"),
        ({"steps": [torch.tensor(0.0), torch.tensor(0)]}, "a step count must be one float32 or float64 number"),
        ({"steps": [torch.tensor(0.0), torch.zeros(2)]}, "a step count must be one float32 or float64 number"),
        ({"exp_avgs": []}, "a state must have the length of params"),
        ({"exp_avgs": [torch.zeros(3), torch.zeros(2)]}, "grads and states must have the shape and device of params"),
        ({"max_exp_avg_sqs": [torch.zeros(3)]}, "a state must have the length of params, or be empty if not used"),
        ({"rung": (3,)}, "there is no such rung"),
    ],
)
def test_wrong_calls_of_the_operator_write_nothing(change, message):
    def two():
        return [torch.ones(3), torch.ones(3)]

    steps = [torch.tensor(0.0), torch.tensor(0.0)]
    lists = {"params": two(), "grads": two(), "steps": steps, "exp_avgs": two(), "exp_avg_sqs": two(), "max_exp_avg_sqs": []}
    rung = change.pop("rung", (2,))
    lists.update(change)
    before = copy.deepcopy(lists)
    with pytest.raises(RuntimeError, match=rf"adam_step\(\): .*{message}"):
        torch.ops.scratchnet.adam_step(*lists.values(), *ADAM, *rung)
    for a, b in zip(lists.values(), before.values(), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_operator_says_what_it_left():
    params = [torch.ones(3), torch.ones(3, dtype=torch.int64), torch.ones(3), torch.ones(3)]
    grads = [torch.ones(3), torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.float64), torch.ones(3)]
    assert torch.ops.scratchnet.sgd_step(params, grads, [], 0.5, 0.0, 0.0, 0.0, False, False, 1.0, 2) == [1, 2]
    assert [p[0].item() for p in params] == [0.5, 1, 1.0, 0.5]


def test_every_optimizer_is_a_rule_with_an_operator():
    assert {getattr(optim, name).operator for name in [*OPTIONS, "Adam8bit"]} == set(optim.compiled.SCHEMAS)
    assert all(issubclass(getattr(optim, name), Rule) for name in OPTIONS)

"""The optimizers against torch.optim: the same numbers over 100 steps, the same repr, state_dict, hooks and errors."""

import copy
import inspect
import warnings

import pytest
import torch
from torch.testing import assert_close

import scratchnet
from scratchnet import optim

SGD_OPTIONS = [
    {},
    {"lr": 0.1},
    {"lr": 0.01, "momentum": 0.9},
    {"lr": 0.01, "momentum": 0.9, "dampening": 0.5},
    {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    {"lr": 0.01, "weight_decay": 0.1},
    {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.1, "nesterov": True, "maximize": True},
    {"lr": torch.tensor(0.01), "momentum": 0.9},
    {"lr": torch.tensor([0.01]), "weight_decay": torch.tensor(0.1)},
    {"lr": 0.01, "foreach": False, "fused": False},
]
ADAM_OPTIONS = [
    {},
    {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-4},
    {"betas": (0.0, 0.0)},
    {"lr": 0.01, "weight_decay": 0.1},
    {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
    {"lr": 0.01, "amsgrad": True},
    {"lr": 0.01, "amsgrad": True, "maximize": True, "weight_decay": 0.01},
    {"lr": torch.tensor(0.01)},
    {"lr": torch.tensor([0.01]), "betas": (torch.tensor(0.8), torch.tensor([0.9]))},
    {"lr": 0, "eps": 0.0},
    {"lr": 0.01, "foreach": False, "fused": False},
]
ADAMW_OPTIONS = [
    {},
    {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True},
    {"lr": torch.tensor(0.01), "betas": (0.8, 0.9), "maximize": True},
]
RMSPROP_OPTIONS = [
    {},
    {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1},
    {"momentum": 0.9},
    {"centered": True, "maximize": True},
    {"lr": torch.tensor(0.01), "alpha": 0.5, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
]
ADAGRAD_OPTIONS = [
    {},
    {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5},
    {"weight_decay": 0.1, "maximize": True, "eps": 1e-3},
    {"lr": torch.tensor([0.1])},
]
OPTIONS = {
    "SGD": SGD_OPTIONS,
    "Adam": ADAM_OPTIONS,
    "AdamW": ADAMW_OPTIONS,
    "RMSprop": RMSPROP_OPTIONS,
    "Adagrad": ADAGRAD_OPTIONS,
}
NAMES = list(OPTIONS)
FLAGS = [(name, flag) for name in NAMES for flag in ("foreach", "fused") if (name, flag) != ("RMSprop", "fused")]
CASES = [(name, options) for name in NAMES for options in OPTIONS[name]]
SHAPES = ((), (1,), (0,), (7,), (5, 3), (2, 3, 4))


@pytest.fixture(autouse=True, params=["reference", "cpp"])
def backend(request):
    """The formulas and the compiled steps."""
    with scratchnet.backend(request.param):
        yield request.param


def parameters(dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    start = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]
    start.append(torch.randn(4, 6, generator=generator, dtype=torch.float64).to(dtype).t())  # its state keeps the strides
    return [torch.nn.Parameter(p) for p in start]


def set_gradients(params, step):
    """Gradients of many magnitudes, independent of the parameters; in some steps a parameter has none."""
    generator = torch.Generator().manual_seed(step)
    for i, p in enumerate(params):
        grad = torch.randn(p.shape, generator=generator, dtype=torch.float64) * 10.0 ** (i - 3)
        p.grad = None if (step + i) % 11 == 0 else grad.to(p.dtype)


def twins(name, options, dtype=torch.float32):
    built = []
    for library in (optim, torch.optim):
        params = parameters(dtype)
        built.append((params, getattr(library, name)(params, **copy.deepcopy(options))))
    return built


def train(params, optimizer, steps):
    for step in steps:
        set_gradients(params, step)
        optimizer.step()


def assert_same(ours, theirs):
    """Within two units in the last place: the same operations, with Python's and the CPU's scalars in between.

    The compiled steps round in another order; test_compiled_steps.py says how far off they may be.
    """
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        eps = torch.finfo(a.dtype).eps
        bound = 2 * eps if scratchnet.backends.current() == "reference" else 16 * eps
        assert_close(a, b, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_hundred_steps(name, options, dtype, backend):
    if backend == "cpp":
        return  # test_compiled_steps.py has the bounds
    if dtype is not torch.float32 and isinstance(options.get("betas", (0.0,))[0], torch.Tensor):
        options = {**options, "betas": tuple(beta.to(dtype) for beta in options["betas"])}
    (ours, our_optimizer), (theirs, their_optimizer) = twins(name, options, dtype)
    train(ours, our_optimizer, range(100))
    train(theirs, their_optimizer, range(100))
    assert_same(ours, theirs)
    for a, b, start in zip(ours, theirs, parameters(dtype), strict=True):
        state, wanted = our_optimizer.state[a], their_optimizer.state[b]
        assert list(state) == list(wanted)
        assert_same(list(state.values()), list(wanted.values()))
        assert [t.stride() for t in state.values()] == [t.stride() for t in wanted.values()]
        moves = options.get("lr") != 0 and start.numel() and dtype is not torch.bfloat16  # there small steps round away
        assert not moves or not torch.equal(a, start)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_repr_and_groups(name, options):
    (_, ours), (_, theirs) = twins(name, options)
    assert repr(ours) == repr(theirs)
    assert list(ours.defaults) == list(theirs.defaults)
    assert list(ours.param_groups[0]) == list(theirs.param_groups[0])
    assert isinstance(ours, type(theirs)) and type(ours) is not type(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_signature(name):
    ours, theirs = (inspect.signature(getattr(library, name)).parameters.values() for library in (optim, torch.optim))
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]


@pytest.mark.parametrize("direction", ["ours to torch", "torch to ours"])
@pytest.mark.parametrize(("name", "options"), [(name, OPTIONS[name][k]) for name in NAMES for k in (0, -2)])
def test_state_dict_is_interchangeable(name, options, direction):
    first, second = twins(name, options)
    if direction == "torch to ours":
        first, second = second, first
    (source, source_optimizer), (target, target_optimizer) = first, second
    train(source, source_optimizer, range(10))
    for a, b in zip(source, target, strict=True):
        b.data.copy_(a.data)
    target_optimizer.load_state_dict(copy.deepcopy(source_optimizer.state_dict()))
    train(source, source_optimizer, range(10, 20))
    train(target, target_optimizer, range(10, 20))
    assert_same(source, target)
    ours, theirs = source_optimizer.state_dict(), target_optimizer.state_dict()
    assert ours["param_groups"] == theirs["param_groups"] and list(ours["state"]) == list(theirs["state"])


@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_states_of_torchs_faster_implementations_load(name, flag):
    """A checkpoint that torch wrote with fused=True or foreach=True continues here, and the other way round."""

    def run(params, optimizer, steps):
        for step in steps:
            for i, p in enumerate(params):
                p.grad = torch.full_like(p, (step + 1) / (i + 2))
            optimizer.step()

    options = {"lr": 0.01, **({"momentum": 0.9} if name == "SGD" else {})}
    theirs = parameters()
    their_optimizer = getattr(torch.optim, name)(theirs, **options, **{flag: True})
    run(theirs, their_optimizer, range(5))
    ours = [torch.nn.Parameter(p.detach().clone()) for p in theirs]
    our_optimizer = getattr(optim, name)(ours, **options)
    our_optimizer.load_state_dict(copy.deepcopy(their_optimizer.state_dict()))
    assert our_optimizer.param_groups[0][flag] is True
    run(ours, our_optimizer, range(5, 10))
    run(theirs, their_optimizer, range(5, 10))
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-6, atol=1e-6)  # torch's fused kernels round in another order
    their_optimizer.load_state_dict(copy.deepcopy(our_optimizer.state_dict()))
    run(ours, our_optimizer, range(10, 12))
    run(theirs, their_optimizer, range(10, 12))
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_without_the_younger_options_loads(name):
    (params, ours), _ = twins(name, {"lr": 0.01})
    state = ours.state_dict()
    for option in ("maximize", "foreach", "differentiable", "fused", "decoupled_weight_decay", "amsgrad", "nesterov"):
        state["param_groups"][0].pop(option, None)
    ours.load_state_dict(state)
    group = ours.param_groups[0]
    assert group["foreach"] is group.get("fused") is None and group["maximize"] is group["differentiable"] is False
    before = params[3].detach().clone()
    train(params, ours, [1])
    assert not torch.equal(params[3], before)


@pytest.mark.parametrize("name", NAMES)
def test_parameter_groups_hooks_and_schedulers(name):
    results = []
    for library in (optim, torch.optim):
        params = parameters()
        groups = [{"params": params[:3], "lr": 0.5}, {"params": params[3:5], "weight_decay": 0.1}]
        optimizer = getattr(library, name)(groups, lr=0.01)
        optimizer.add_param_group({"params": params[5:], "maximize": True})
        scheduler = library.lr_scheduler.StepLR(optimizer, 3, gamma=0.5)
        calls = []
        optimizer.register_step_post_hook(lambda *args, calls=calls: calls.append(len(calls)))
        for step in range(10):
            set_gradients(params, step)
            optimizer.step()
            scheduler.step()
        assert calls == list(range(10)) and [group["lr"] for group in optimizer.param_groups] == [0.0625, 0.00125, 0.00125]
        optimizer.zero_grad()
        assert all(p.grad is None for p in params)
        results.append(params)
    assert_same(*results)


@pytest.mark.parametrize("name", NAMES)
def test_closure(name):
    results = []
    for library in (optim, torch.optim):
        weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
        optimizer = getattr(library, name)([weight], lr=0.1)

        def closure(weight=weight, optimizer=optimizer):
            optimizer.zero_grad()
            loss = weight.square().sum()
            loss.backward()
            return loss

        with torch.no_grad():  # the closure gets its gradients anyway
            results.append([optimizer.step(closure).item() for _ in range(20)])
        assert optimizer.step() is None
    assert results[0] == pytest.approx(results[1], rel=1e-6) and results[0][-1] < results[0][0]


def test_named_parameters():
    model = torch.nn.Linear(3, 2)
    for name in NAMES:
        assert getattr(optim, name)(model.named_parameters()).param_groups[0]["param_names"] == ["weight", "bias"]


def test_sparse_gradients():
    results = []
    for library in (optim, torch.optim):
        torch.manual_seed(0)
        table = torch.nn.Embedding(6, 3, sparse=True)
        optimizer = library.SGD(table.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            table(torch.tensor([1, 1, 4])).square().sum().backward()
            optimizer.step()
        results.append([table.weight])
        with pytest.raises(RuntimeError, match="Adam does not support sparse gradients.*SparseAdam"):
            library.Adam(table.parameters()).step()
    assert_same(*results)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_complex_parameters(amsgrad):
    results = []
    for library in (optim, torch.optim):
        torch.manual_seed(0)
        p = torch.nn.Parameter(torch.randn(4, 3, dtype=torch.complex64))
        optimizer = library.Adam([p], lr=0.1, amsgrad=amsgrad)
        for _ in range(10):
            p.grad = torch.randn_like(p)
            optimizer.step()
        results.append([torch.view_as_real(p)])
    assert_same(*results)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
        ("SGD", {"nesterov": True, "momentum": 0.9}),
        ("Adam", {}),
        ("Adam", {"amsgrad": True}),
        ("AdamW", {}),
        ("RMSprop", {"weight_decay": 0.1}),
        ("RMSprop", {"momentum": 0.5, "centered": True}),
        ("Adagrad", {"weight_decay": 0.1, "lr_decay": 0.1}),
    ],
)
def test_differentiable(name, options):
    """The gradient of the parameters after three steps with respect to the start and the gradients."""
    start = torch.randn(5, dtype=torch.float64, requires_grad=True)
    grads = [torch.randn(5, dtype=torch.float64, requires_grad=True) for _ in range(3)]

    def run(library, start, *grads):
        p = start.clone()
        optimizer = getattr(library, name)([p], lr=0.1, differentiable=True, **options)
        for grad in grads:
            p.grad = grad
            optimizer.step()
        return p

    # Not against torch's gradients: its SGD detaches the first momentum buffer, its amsgrad overwrites what autograd saved.
    assert torch.autograd.gradcheck(lambda *args: run(optim, *args), (start, *grads))
    assert_close(run(optim, start, *grads), run(torch.optim, start, *grads))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_the_learning_rate(name):
    def run(library, lr):
        p = torch.arange(1.0, 4.0, dtype=torch.float64, requires_grad=True).clone()
        optimizer = getattr(library, name)([p], lr=lr, differentiable=True)
        for i in range(3):
            p.grad = torch.tensor([1.0, -2.0, 0.5 * (i + 1)], dtype=torch.float64)
            optimizer.step()
        return p

    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda lr: run(optim, lr), lr)
    if name not in ("RMSprop", "Adagrad"):  # torch's accept no lr that requires grad
        ours, theirs = (torch.autograd.grad(run(library, lr).square().sum(), lr)[0] for library in (optim, torch.optim))
        assert_close(ours, theirs)


def test_capturable_keeps_the_step_count_a_tensor():
    """Against torch's differentiable step, which counts in a tensor too (its capturable one needs an accelerator)."""
    ours, theirs = parameters(torch.float64), [p.clone() for p in parameters(torch.float64)]
    our_optimizer = optim.Adam(ours, lr=0.01, capturable=True)
    train(ours, our_optimizer, range(10))
    train(theirs, torch.optim.Adam(theirs, lr=0.01, differentiable=True), range(10))
    for a, b in zip(ours, theirs, strict=True):
        # Ten steps of at most lr each; both compute their corrections in float32, one ulp apart: 2.4e-8 in all.
        assert_close(a, b, rtol=0, atol=10 * 0.01 * 2 * torch.finfo(torch.float32).eps)
    assert all(state["step"].device == p.device for p, state in our_optimizer.state.items())


WRONG = [
    ("SGD", {"lr": -0.1}, "Invalid learning rate: -0.1"),
    ("SGD", {"momentum": -1}, "Invalid momentum value: -1"),
    ("SGD", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening.*momentum=0"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum.*dampening=0.1"),
    ("SGD", {"lr": torch.tensor([0.1, 0.2])}, "Tensor lr must be 1-element"),
    ("SGD", {"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ("SGD", {"fused": True, "foreach": True}, "`fused` and `foreach` cannot be `True` together"),
    ("Adam", {"lr": -0.1}, "Invalid learning rate: -0.1"),
    ("Adam", {"lr": float("nan")}, "Invalid learning rate: nan"),
    ("Adam", {"eps": -1}, "Invalid epsilon value: -1"),
    ("Adam", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    ("Adam", {"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
    ("Adam", {"betas": (0.9, torch.tensor(0.9))}, "betas must be either both floats or both Tensors.*float and Tensor"),
    ("Adam", {"lr": torch.tensor([0.1, 0.2])}, "Tensor lr must be 1-element"),
    ("Adam", {"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ("Adam", {"fused": True, "foreach": True}, "`fused` and `foreach` cannot be `True` together"),
    ("AdamW", {"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ("AdamW", {"fused": True, "foreach": True}, "`fused` and `foreach` cannot be `True` together"),
    ("Adagrad", {"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ("Adagrad", {"fused": True, "foreach": True}, "`fused` and `foreach` cannot be `True` together"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_options(name, options, message):
    with pytest.raises(Exception) as theirs:
        getattr(torch.optim, name)(parameters(), **options)
    with pytest.raises(theirs.type, match=message):
        getattr(optim, name)(parameters(), **options)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (lambda: [], "optimizer got an empty parameter list.*model.parameters()"),
        (lambda: torch.nn.ReLU().parameters(), "optimizer got an empty parameter list"),
        (lambda: torch.zeros(3), "iterable of Tensors or dicts, but got torch.FloatTensor"),
        (lambda: [1.0], "can only optimize Tensors"),
        (lambda: [torch.zeros(3, requires_grad=True) * 2], "can't optimize a non-leaf Tensor"),
        (lambda: 3, "not iterable"),
        (lambda: [{"params": {torch.zeros(3, requires_grad=True)}}], "ordered collections"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_wrong_parameters(name, params, message):
    with pytest.raises(Exception) as theirs:
        getattr(torch.optim, name)(params())
    with pytest.raises(theirs.type, match=message):
        getattr(optim, name)(params())


@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_torchs_choices_among_implementations_change_nothing(name, flag):
    params = parameters()
    optimizer = getattr(optim, name)(params, lr=0.01, **{flag: True})
    assert optimizer.param_groups[0][flag] is True
    (plain, plain_optimizer), _ = twins(name, {"lr": 0.01})
    train(params, optimizer, range(3))
    train(plain, plain_optimizer, range(3))
    assert all(torch.equal(a, b) for a, b in zip(params, plain, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_gradients_are_left_alone(name):
    (params, optimizer), _ = twins(name, {"lr": 0.1, "weight_decay": 0.1, "maximize": True})
    set_gradients(params, 1)
    before = [None if p.grad is None else p.grad.clone() for p in params]
    optimizer.step()
    for p, grad in zip(params, before, strict=True):
        assert p.grad is None if grad is None else torch.equal(p.grad, grad)


def test_names_that_torch_has_and_we_do_not():
    with pytest.raises(AttributeError, match="torch's own works beside ours: torch.optim.LBFGS"):
        optim.LBFGS([])
    from scratchnet.optim.swa_utils import AveragedModel

    assert AveragedModel is torch.optim.swa_utils.AveragedModel


@pytest.mark.parametrize("name", NAMES)
def test_compiled_step(name):
    results = []
    for compiled in (False, True):
        params = parameters()
        optimizer = getattr(optim, name)(params, lr=0.01)
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i in range(3):
                set_gradients(params, i)
                step()
        results.append(params)
    for a, b in zip(*results, strict=True):
        assert_close(a, b, rtol=1e-5, atol=1e-6)  # compiled, Adam's step count is a float32 tensor

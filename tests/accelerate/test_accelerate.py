"""accelerate: torch's layers become ours in place; the model, its parameters and their users notice nothing."""

import copy
import pickle
import warnings

import pytest
import torch
import torch.distributed as dist
from torch.nn.utils import parametrizations, parametrize, prune
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves

import scratchnet
from scratchnet import nn
from scratchnet.accelerate import TWINS, accelerate
from scratchnet.nn.torchs_own import why

common_modules = pytest.importorskip(
    "torch.testing._internal.common_modules", reason="needs expecttest: pip install expecttest"
)
INFOS = {info.module_cls.__name__: info for info in common_modules.module_db if info.module_cls in TWINS}
pytestmark = pytest.mark.filterwarnings(
    "ignore:enable_nested_tensor is True", "ignore:.*target size", "ignore:Implicit dimension", "ignore:size_average"
)


@pytest.fixture(autouse=True)
def cpp():
    with scratchnet.backend("cpp"):
        yield


class Block(torch.nn.Module):
    """A user's module with everything that may break a swap: lists, dicts, one layer in two places, tied weights, a buffer."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(9, 8)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.GELU(), torch.nn.Dropout(0.5))])
        self.heads = torch.nn.ModuleDict({"same": self.layers[0], "tied": torch.nn.Linear(8, 9, bias=False)})
        self.heads["tied"].weight = self.embed.weight
        self.encoder = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.norm = torch.nn.LayerNorm(8)
        self.unknown = torch.nn.Bilinear(8, 8, 8)
        self.register_buffer("scale", torch.tensor(2.0))
        self.shortcut = [self.norm]  # a reference that torch does not know of
        self.double()

    def forward(self, tokens):
        x = self.encoder(self.embed(tokens))
        for layer in (*self.layers, self.heads["same"], self.shortcut[0]):
            x = layer(x)
        return self.heads["tied"](self.unknown(x, x)) * self.scale


def tokens():
    return torch.randint(9, (2, 5), generator=torch.Generator().manual_seed(1))


def results(model):
    torch.manual_seed(2)
    output = model(tokens())
    return output, torch.autograd.grad(output.square().sum(), list(model.parameters()))


def types(model):
    return {name: type(module) for name, module in model.named_modules(remove_duplicate=False)}


@pytest.mark.parametrize("name", sorted(INFOS))
def test_every_layer_with_pytorchs_samples(name):
    """Our layers work on torch's attributes: a swapped instance gives the results that it gave before."""
    for sample in INFOS[name].module_inputs_func(INFOS[name], "cpu", torch.float64, requires_grad=False, training=True):
        arguments = sample.constructor_input
        theirs = getattr(torch.nn, name)(*arguments.args, **arguments.kwargs).double()
        native = getattr(nn, name)(*arguments.args, **arguments.kwargs)
        assert set(vars(native)) <= set(vars(theirs))
        ours = copy.deepcopy(theirs)
        report = accelerate(ours)
        assert type(ours) is getattr(nn, name) and not report.left
        assert type(pickle.loads(pickle.dumps(ours))) is type(ours)
        assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
        found = []
        for module in (ours, theirs):
            torch.manual_seed(4)
            output = module(*sample.forward_input.args, **sample.forward_input.kwargs)
            outputs = [t for t in tree_leaves(output) if isinstance(t, torch.Tensor)]
            loss = sum(t.to_dense().square().sum() for t in outputs)
            parameters = [p for p in module.parameters() if p.requires_grad]
            grads = torch.autograd.grad(loss, parameters, allow_unused=True) if parameters else ()
            found.append((outputs, [g.to_dense() for g in grads if g is not None]))
        assert_close(*found, equal_nan=True)


def test_twins_are_read_from_the_names():
    assert TWINS[torch.nn.Linear] is nn.Linear and TWINS[torch.nn.CrossEntropyLoss] is nn.CrossEntropyLoss
    names = {kind.__name__ for kind in TWINS.values()}
    assert all(theirs.__name__ == ours.__name__ for theirs, ours in TWINS.items())
    assert not names & {"Sequential", "ModuleList", "Module", "TransformerLM", "FeedForward"}


def test_a_model_goes_on_as_if_nothing_had_happened():
    plain = Block()
    model = copy.deepcopy(plain)
    model.eval()
    model.encoder.train()
    modes = {name: module.training for name, module in model.named_modules()}
    seen = []
    model.norm.register_forward_hook(lambda module, *_: seen.append(type(module)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    keys, before, shape = list(model.state_dict()), types(model), repr(model)
    state = torch.get_rng_state()

    report = accelerate(model)

    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn
    assert repr(model) == shape and list(model.state_dict()) == keys
    assert all(dict(model.named_parameters())[name] is p for name, p in parameters.items())
    assert all(dict(model.named_buffers())[name] is b for name, b in buffers.items())
    assert {name: module.training for name, module in model.named_modules()} == modes
    swapped = types(model)
    assert {name for name, kind in swapped.items() if kind.__module__.startswith("torch.nn.modules")} == {
        "layers",
        "layers.1",
        "heads",
        "unknown",
    }
    assert type(model) is Block and model.shortcut[0] is model.norm and model.heads["same"] is model.layers[0]
    assert len(report.swapped) == len(before) - 6  # the block, three containers, Bilinear, and one layer that occurs twice
    assert [(name, kind, reason.partition(": ")[0]) for name, kind, reason in report.left] == [
        ("unknown", "Bilinear", "torch's own")
    ]

    model.train(), plain.train()
    assert_close(results(model), results(plain))
    assert seen == [nn.LayerNorm]
    for m in (model, plain):
        torch.manual_seed(2)
        m(tokens()).square().sum().backward()
    optimizer.step()
    torch.optim.SGD(plain.parameters(), lr=1e-6).step()
    assert_close(dict(model.state_dict()), dict(plain.state_dict()))

    report.undo()
    assert types(model) == before
    assert_close(results(model), results(plain))
    assert len(accelerate(model).swapped) == len(report.swapped) and accelerate(model).swapped == []


def test_the_model_may_be_one_layer():
    layer = torch.nn.Linear(3, 2)
    report = accelerate(layer)
    assert type(layer) is nn.Linear and report.swapped == [("(model)", "Linear")]
    report.undo()
    assert type(layer) is torch.nn.Linear


def test_the_report_says_it_all():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Bilinear(1, 2, 3), Negate())
    loss = "loss: outside of the model: scratchnet.nn.functional.cross_entropy takes the place of torch's"
    optimizer = "optimizer: not given: scratchnet.accelerate(model, optimizer) makes one of torch.optim ours"
    assert str(accelerate(model)).splitlines() == [
        "layer  class     now",
        "0      Linear    scratchnet's",
        f"1      Bilinear  left: torch's own: {why(torch.nn.Bilinear)}",
        "2      Negate    left: no function of ours was shown to compute the same",
        "1 layers swapped, with 47% of the parameters, 2 left",
        loss,
        optimizer,
        "torch.ao.quantization looks layers up by their exact class and skips swapped ones: undo() first",
        "a file of torch.save(model) needs scratchnet to be read: undo() first, or save state_dict()",
    ]
    assert str(accelerate(torch.nn.Sequential())).splitlines() == ["0 layers swapped, 0 left", loss, optimizer]


class Mine(torch.nn.Linear):
    def forward(self, input):
        return super().forward(input) + 1


class MyEncoder(torch.nn.TransformerEncoderLayer):
    pass


def patched():
    layer = torch.nn.Linear(3, 3)
    layer.forward = lambda x: x
    return layer


class OursAndMore(nn.Linear):
    def forward(self, input):
        return super().forward(input) + 1


def test_ours_and_their_subclasses_are_none_of_its_business():
    model = torch.nn.Sequential(nn.Linear(3, 3), OursAndMore(3, 3), parametrizations.weight_norm(nn.Linear(3, 3)))
    before = types(model)
    report = accelerate(model)
    assert (report.swapped, report.left, types(model)) == ([], [], before)


def test_dynamic_quantisation_goes_by_the_exact_class():
    """As the report says: a swapped layer is skipped, and quantised after undo()."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 3))
    report = accelerate(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in use
        assert type(torch.ao.quantization.quantize_dynamic(model)[0]) is nn.Linear
        report.undo()
        assert type(torch.ao.quantization.quantize_dynamic(model)[0]) is torch.ao.nn.quantized.dynamic.Linear
    assert "torch.ao.quantization" in str(accelerate(model))


def old_style(norm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in use
        return norm(torch.nn.Linear(3, 3))


LEFT = [
    (lambda: Mine(3, 3), "a subclass of Linear"),
    (lambda: MyEncoder(4, 2, 8), "a subclass of TransformerEncoderLayer"),
    (lambda: parametrizations.weight_norm(torch.nn.Linear(3, 3)), "parametrized: weight"),
    (lambda: parametrizations.spectral_norm(torch.nn.Linear(3, 3)), "parametrized: weight"),
    (lambda: old_style(torch.nn.utils.weight_norm), "WeightNorm recomputes its weight before every call"),
    (lambda: old_style(torch.nn.utils.spectral_norm), "SpectralNorm recomputes its weight before every call"),
    (lambda: prune.l1_unstructured(torch.nn.Linear(3, 3), "weight", 0.5), "L1Unstructured recomputes its weight"),
    (patched, "its forward has been replaced"),
    (lambda: torch.jit.script(torch.nn.Linear(3, 3)), "compiled by torch.jit"),
    (lambda: torch.nn.Bilinear(3, 3, 3), "torch's own: a product of three tensors"),
    (lambda: torch.nn.GroupNorm(1, 3), "torch's own: groups of channels"),
]


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:Lazy modules")
@pytest.mark.parametrize(("build", "reason"), LEFT, ids=[reason for _, reason in LEFT])
def test_what_is_left_and_why(build, reason):
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), build())
    before = types(model[1])
    report = accelerate(model)
    assert report.swapped == [("0", "Linear")]
    ((name, _, said),) = report.left
    assert name == "1" and said.startswith(reason)
    assert types(model[1]) == before and reason in str(report)


def test_torchs_own_layers_may_hold_ours():
    plain = torch.nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=True)
    model = copy.deepcopy(plain)
    report = accelerate(model)
    assert report.left == [] and type(model.decoder.layers[0]) is nn.TransformerDecoderLayer
    src, tgt = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(4)
    assert_close(model(src, tgt, tgt_mask=mask, tgt_is_causal=True), plain(src, tgt, tgt_mask=mask, tgt_is_causal=True))
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad():  # torch's fused inference and its nested tensors must stay away from our layers
        mine, wanted = (
            m.eval()(src, tgt, src_key_padding_mask=padding, memory_key_padding_mask=padding) for m in (model, plain)
        )
    assert_close(mine, wanted)


def test_a_swapped_layer_can_be_parametrized_and_pruned():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    report = accelerate(model)
    parametrizations.weight_norm(model[0])
    prune.random_unstructured(model[1], "weight", 0.5)
    x = torch.randn(2, 3)
    expected = model(x)
    report.undo()  # a parametrized layer has its own class, which is not ours to change
    assert isinstance(model[0], nn.Linear) and type(model[1]) is torch.nn.Linear
    assert_close(model(x), expected)
    parametrize.remove_parametrizations(model[0], "weight")
    assert_close(model(x), expected)


def test_deepcopy_and_pickle():
    model = Block().eval()
    accelerate(model)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert types(copied) == types(model)
        assert torch.equal(copied(tokens()), model(tokens()))


@pytest.mark.parametrize("load", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
def test_a_copy_is_turned_back(load):
    """No report knows its layers; whoever made them, all of exactly our classes become torch's."""
    model = Block().eval()
    before, expected = types(model), results(model)
    report = accelerate(model)
    copied = load(model)
    assert scratchnet.decelerate(copied) == len(report.swapped)
    assert types(copied) == before and types(model) != before
    assert_close(results(copied), expected)
    assert b"scratchnet" not in pickle.dumps(torch.nn.Sequential(*copied.children()))  # read by a process that lacks it
    assert scratchnet.decelerate(copied) == 0


def test_what_decelerate_leaves():
    model = torch.nn.Sequential(
        nn.Linear(3, 3), OursAndMore(3, 3), parametrizations.weight_norm(nn.Linear(3, 3)), nn.LazyLinear(2)
    )
    before = types(model)
    assert scratchnet.decelerate(model) == 2
    assert type(model[0]) is torch.nn.Linear and type(model[3]) is torch.nn.LazyLinear
    assert types(model)["1"] is before["1"] and types(model)["2"] is before["2"]
    capped = nn.LinearCrossEntropyLoss(3, 5)
    capped.softcap = 2.0
    assert scratchnet.decelerate(capped) == 1 and type(capped.linear) is torch.nn.Linear
    assert type(capped) is nn.LinearCrossEntropyLoss and capped.softcap == 2
    for wrong, words in ((nn.Linear, "call it first, decelerate takes a model"), (3, "not int")):
        with pytest.raises(TypeError, match=rf"^decelerate\(\): argument 'model': must be torch.nn.Module.*{words}"):
            scratchnet.decelerate(wrong)


@pytest.mark.parametrize("name", sorted(INFOS))
def test_layers_built_as_ours_become_torchs(name):
    """An instance of ours is a valid one of torch's: the same results, and the same class of everything inside it."""
    for sample in INFOS[name].module_inputs_func(INFOS[name], "cpu", torch.float64, requires_grad=False, training=True):
        arguments = sample.constructor_input
        layer, found = getattr(nn, name)(*arguments.args, **arguments.kwargs).double().eval(), []
        for _ in range(2):
            torch.manual_seed(4)
            output = layer(*sample.forward_input.args, **sample.forward_input.kwargs)
            found.append([t for t in tree_leaves(output) if isinstance(t, torch.Tensor)])
            scratchnet.decelerate(layer)
        assert not any(type(module).__module__.startswith("scratchnet") for module in layer.modules())
        assert_close(*found, equal_nan=True)


def test_a_compiled_model():
    model = Block().eval()
    expected = results(model)
    early = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert_close(results(early), expected)
    accelerate(model)
    assert_close(results(early), expected)  # sees the new classes and recompiles


def test_data_parallel(tmp_path):
    model = Block().eval()
    expected = results(model)
    accelerate(model)
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        ddp = torch.nn.parallel.DistributedDataParallel(model)
        ddp(tokens()).square().sum().backward()
    finally:
        dist.destroy_process_group()
    assert_close([p.grad for p in model.parameters()], list(expected[1]))


class Negate(torch.nn.Module):
    def forward(self, x):
        return -x


def test_dry_run():
    model = Block()
    before, optimizer = types(model), torch.optim.AdamW(model.parameters())
    report = accelerate(model, optimizer, dry_run=True)
    assert types(model) == before and type(optimizer) is torch.optim.AdamW
    assert report.swapped == accelerate(model).swapped and report.optimizer == "scratchnet's AdamW now"


def test_a_with_block_undoes_it_at_the_end():
    model = Block()
    before = types(model)
    with pytest.raises(KeyError), accelerate(model) as report:
        assert types(model) != before and report.swapped
        raise KeyError
    assert types(model) == before


@pytest.mark.parametrize("name", ["Adagrad", "Adam", "AdamW", "RMSprop", "SGD"])
def test_the_optimizer_goes_on_with_its_state(name):
    """Two steps of torch's, three of ours, two of torch's: the parameters of seven of torch's, up to rounding."""
    models = [torch.nn.Linear(5, 4).double() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    ours, theirs = (getattr(torch.optim, name)(model.parameters(), lr=0.1) for model in models)
    calls = []
    ours.register_step_post_hook(lambda *_: calls.append(type(ours)))

    def steps(count):
        for _ in range(count):
            x = torch.randn(3, 5, dtype=torch.float64)
            for model, optimizer in zip(models, (ours, theirs), strict=True):
                optimizer.zero_grad()
                model(x).square().sum().backward()
                optimizer.step()

    steps(2)
    report = accelerate(models[0], ours)
    assert type(ours) is getattr(scratchnet.optim, name) and report.optimizer == f"scratchnet's {name} now"
    steps(3)
    assert accelerate(models[0], ours).optimizer == f"scratchnet's {name}"
    report.undo()
    assert type(ours) is getattr(torch.optim, name)
    steps(2)
    assert len(calls) == 7
    for mine, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


def test_a_fused_optimizer_in_mixed_precision():
    """A GradScaler leaves unscaling to torch's fused steps; to ours it must not."""
    results = []
    for ours in (False, True):
        model = torch.nn.Linear(2, 1, bias=False)
        torch.nn.init.ones_(model.weight)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
        report = accelerate(model, optimizer) if ours else None
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)
        for factor in (1.0, float("inf"), 1.0):  # the second step is left out
            optimizer.zero_grad()
            scaler.scale(model(torch.tensor([[1.0, 2.0]])).square().sum() * factor).backward()
            scaler.step(optimizer)
            scaler.update()
        results.append(model.weight.detach().clone())
        if report:
            report.undo()
            assert optimizer._step_supports_amp_scaling is True
    torch.testing.assert_close(*results)
    torch.testing.assert_close(results[0], torch.tensor([[0.4, -0.2]]))


def test_optimizers_that_stay():
    model = torch.nn.Linear(3, 3)
    replaced = torch.optim.SGD(model.parameters(), 0.1)
    replaced.step = lambda closure=None: None
    assert accelerate(model, replaced).optimizer == "left: the step of this SGD has been replaced; accelerate it first"
    other = torch.optim.Rprop(model.parameters())
    assert accelerate(model, other).optimizer == "left: Rprop is none of torch.optim's that scratchnet.optim has"
    assert type(replaced) is torch.optim.SGD and type(other) is torch.optim.Rprop
    with pytest.raises(TypeError, match=r"accelerate\(\): argument 'optimizer': must be torch.optim.Optimizer, not Linear"):
        accelerate(model, model)


def test_the_share_of_the_parameters():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Bilinear(2, 2, 2))  # 12 and 10 numbers
    report = accelerate(model)
    assert report.parameters == (12, 22) and "1 layers swapped, with 55% of the parameters, 1 left" in str(report)

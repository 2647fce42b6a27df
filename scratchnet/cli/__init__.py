"""The command `scratchnet`: one file a subcommand, each with add_arguments(parser) and run(args) -> exit code."""

from __future__ import annotations

import argparse
from importlib import import_module

import scratchnet

COMMANDS = {
    "info": "what is compiled, what runs here and why, and what is missing with the command that adds it",
    "verify": "every operator on every backend against the float64 oracle; exit code 1 if anything is wrong",
    "bench": "every operator against torch's own: time, memory traffic and error",
    "train": "train a network built from these layers on real data",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = argparse.ArgumentParser(prog="scratchnet", description=scratchnet.__doc__)
    parser.add_argument("--version", action="version", version=f"scratchnet {scratchnet.__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, what in COMMANDS.items():
        module = import_module(f"scratchnet.cli.{name}")
        command = commands.add_parser(name, help=what, description=what)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    return args.run(args)

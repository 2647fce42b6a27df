"""The command line itself."""

import runpy

import pytest

import scratchnet
from scratchnet.cli import COMMANDS, main


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: scratchnet {name}")


@pytest.mark.parametrize("call", [main, lambda argv: runpy.run_module("scratchnet", run_name="__main__")])
def test_version(call, monkeypatch, capsys):
    """Of the command, and of `python -m scratchnet`."""
    monkeypatch.setattr("sys.argv", ["scratchnet", "--version"])
    with pytest.raises(SystemExit):
        call(["--version"])
    assert capsys.readouterr().out == f"scratchnet {scratchnet.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: command"),
        (["fly"], "invalid choice: 'fly'"),
        (["bench", "sorting"], "invalid choice: 'sorting'"),
        (["bench", "--threads", "0"], "whole number of 1 or more, got '0'"),
        (["bench", "--backend", "abacus"], "no backend 'abacus'; the backends are numpy"),
        (["verify", "--backend", "cpp:99"], "cpp has no rung '99'"),
        (["verify", "gelu", "--quick"], "unrecognized arguments: --quick"),
    ],
)
def test_wrong_commands_are_refused_with_the_reason(argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err

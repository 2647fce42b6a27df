"""Lessons need no network, and a reader's files are in a folder of their own."""

import socket

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args):
        raise OSError("a lesson called for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """The folder that the reader works in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

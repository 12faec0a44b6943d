"""Every test here runs over every row that it is for; see ``rows.py`` and ``texts.py``."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Iterator

import pytest

from .rows import ROWS, Loaded, Machine
from .texts import KINDS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``row`` goes over the rows, ``kind`` over the kinds of text.

    ``@pytest.mark.rows("extractive")`` leaves those rows of which a fact is true.
    """
    if "row" in metafunc.fixturenames:
        facts = [fact for mark in metafunc.definition.iter_markers("rows") for fact in mark.args]
        much = getattr(metafunc.function, "drawn", False) or "tries_long" in facts
        rows = [
            row
            for row in ROWS
            if all(getattr(row, fact) for fact in facts) and (much or not row.stands_in)
        ]
        metafunc.parametrize("row", rows, ids=str, indirect=True)
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    found = Machine(tmp_path_factory.mktemp("machine"))
    yield found
    found.close()


@pytest.fixture
def row(request: pytest.FixtureRequest, machine: Machine) -> Loaded:
    return Loaded(request.param, machine)


@pytest.fixture(autouse=True)
def no_network(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever opens a connection fails, in whatever test it happens; but for the endpoint here."""
    opened: list[object] = []
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def guarded(real: Callable[..., object], place: int) -> Callable[..., object]:
        @functools.wraps(real)
        def ask(*arguments: object, **more: object) -> object:
            wanted = arguments[place] if place < len(arguments) else None
            here = machine.address
            if here is not None and wanted in (here, here[0]):
                return real(*arguments, **more)
            opened.append(arguments)
            raise OSError("the contract tests allow no network")

        return ask

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name), 1))
    monkeypatch.setattr(socket.socket, "sendto", guarded(socket.socket.sendto, 99))
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, guarded(getattr(socket, name), 0))
    yield
    assert not opened, f"the network was asked for: {opened[0]}"

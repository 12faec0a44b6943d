"""Every test here runs over every compressor that can run in this environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import ctxzip

# `CTXZIP_EXAMPLES=2000 pytest tests/contract` looks harder, at other examples every time.
EXAMPLES = int(os.environ.get("CTXZIP_EXAMPLES", "0"))
settings.register_profile(
    "contract",
    max_examples=EXAMPLES or 25,
    deadline=None,
    derandomize=not EXAMPLES,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
settings.load_profile("contract")

NAMES = ["auto", *(info.name for info in ctxzip.list_compressors() if info.available)]
# A million words take the models minutes; what needs none shows in every run that they pass.
SLOW = set(NAMES) - {"lexical"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "compressor" in metafunc.fixturenames:
        long = metafunc.function.__name__ == "test_a_million_words"
        # ``auto`` routes to the others, which go through what takes long themselves.
        drawn = hasattr(metafunc.function, "hypothesis") or "words" in metafunc.function.__name__
        drawn = drawn or "monotonous" in metafunc.function.__name__
        marks = {name: [pytest.mark.slow] if long and name in SLOW else [] for name in NAMES}
        metafunc.parametrize(
            "compressor",
            [pytest.param(name, marks=marks[name]) for name in NAMES[drawn:]],
            indirect=True,
        )


@pytest.fixture
def compressor(request: pytest.FixtureRequest) -> str:
    """The name of a compressor. What needs a download is left out; what is shipped never is."""
    name: str = request.param
    if name not in ("auto", "lexical", "mini"):
        try:
            ctxzip.load(name).warmup()
        except (ctxzip.MissingExtraError, ctxzip.ModelError) as error:
            pytest.skip(str(error))
    return name


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever opens a connection fails, in whatever test it happens."""
    opened: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        opened.append(arguments)
        raise OSError("the contract tests allow no network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    yield
    assert not opened, f"the network was asked for: {opened[0]}"

"""Checkpoints for the parity tests, in folders named as the reference needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import checkpoints


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models run faster on one thread, and leave the other cores alone."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", params=["bert-base-multilingual-cased", "xlm-roberta-large"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token classification checkpoint of each family that the reference knows."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("parity") / f"tiny-{request.param}"
    make = checkpoints.bert if "bert-base" in request.param else checkpoints.xlm_roberta
    return make(path)


@pytest.fixture(scope="session")
def reference(folder: Path) -> Iterator[Any]:
    """The published compressor on the same checkpoint; its vocabulary of GPT tokens is ours."""
    llmlingua = pytest.importorskip("llmlingua")
    import tiktoken
    from transformers.utils import logging

    from ctxzip.text.vocabulary import load

    encoding, _ = load("cl100k_base")
    patch = pytest.MonkeyPatch()
    patch.setattr(tiktoken, "encoding_for_model", lambda name: encoding)
    logging.set_verbosity_error()
    yield llmlingua.PromptCompressor(str(folder), device_map="cpu", use_llmlingua2=True)
    patch.undo()

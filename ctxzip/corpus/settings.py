"""What a job is told: settings that decide its output, and resources that do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ctxzip
from ctxzip.api.arguments import budget_of
from ctxzip.backends.model_files import located
from ctxzip.compressors import DEFAULT, load, row_of, tuned
from ctxzip.corpus.read.formats import Fields
from ctxzip.errors import InputError, ModelError
from ctxzip.kit.disk import sha256
from ctxzip.types import Budget, Compressor, Granularity, Options

__all__ = ["FORMATS", "Resources", "Settings"]

# Every chunk is read once: memory for earlier ones would be wasted.
_MEMORY = 64 * 2**20
FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the output depends on, beside the records.

    Attributes:
        ratio: fraction of each record's tokens to keep, or a factor above 1.
        target_tokens: ceiling in tokens on each record.
        threshold: calibrated probability below which text is dropped.
        compressor: a name that :func:`ctxzip.list_compressors` lists, or ``"auto"``.
        model: a folder or a hub name for it.
        tokenizer: what counts tokens, by name.
        granularity: what is dropped.
        language: ISO 639-1 code of all records, where it is known.
        protect: literal strings that must survive.
        fields: how the fields of a record are called.
        format: how shards are written, one of ``FORMATS``.
        shard_bytes: bytes of records in the largest shard.
        schema: the Arrow schema of Parquet shards, as base64; filled in by the job.
    """

    ratio: float | None = None
    target_tokens: int | None = None
    threshold: float | None = None
    compressor: str = DEFAULT
    model: str | None = None
    tokenizer: str = "o200k_base"
    granularity: Granularity = "auto"
    language: str | None = None
    protect: tuple[str, ...] = ()
    fields: Fields = field(default_factory=Fields)
    format: str = "jsonl"
    shard_bytes: int = 2 * 2**20
    schema: str | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InputError(
                f"format={self.format!r} is unknown.", hint=f"Use one of {', '.join(FORMATS)}."
            )
        if self.shard_bytes < 1024:
            raise InputError(f"shard_bytes={self.shard_bytes!r} is less than 1024.")
        if self.fields.most < 1024:
            raise InputError(
                f"Records of at most {self.fields.most!r} bytes: at least 1024, please."
            )
        if self.fields.text in (self.fields.id, "ctxzip"):
            raise InputError(f"The text field cannot be {self.fields.text!r}.")
        self.budget  # noqa: B018  # raises for what cannot be

    @property
    def options(self) -> Options:
        """What is rarely set."""
        return Options(
            tokenizer=self.tokenizer,
            granularity=self.granularity,
            language=self.language,
            protect=self.protect,
        )

    @property
    def budget(self) -> Budget:
        """How much of each record may stay."""
        return budget_of(self.ratio, self.target_tokens, self.threshold, Options())

    def facts(self) -> dict[str, Any]:
        """Settings, version and model as plain JSON values."""
        return {
            **json.loads(json.dumps(asdict(self))),
            "version": ctxzip.__version__,
            "model_sha256": _model_checksum(self.compressor, self.model),
        }


def digest(facts: Mapping[str, Any], *without: str) -> str:
    """A digest of facts, some left out."""
    chosen = {k: v for k, v in facts.items() if k not in without}
    return hashlib.blake2b(json.dumps(chosen, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Resources:
    """Where and with what a job runs; nothing of it changes the output.

    Attributes:
        device: where a model runs.
        threads: threads of a model on the CPU; None for its own choice.
        cache: the file of the chunk cache, or None for none.
        cache_bytes: its size on disk.
    """

    device: str = "auto"
    threads: int | None = None
    cache: str | None = None
    cache_bytes: int = 2**30

    def compressor(self, settings: Settings) -> Compressor:
        """The compressor that the settings name, on these resources."""
        offline = row_of(settings.compressor).offline
        return load(
            settings.compressor,
            options=settings.options,
            model=settings.model,
            device="auto" if offline else self.device,
            settings=tuned(settings.compressor, threads=self.threads, cache_bytes=_MEMORY),
        )


def _model_checksum(compressor: str, model: str | None) -> str | None:
    """SHA-256 over the files of the model; None where there is none, or a name of a hub."""
    row = row_of(compressor)
    named = model or row.bundle or row.default_model
    try:
        path = None if named is None else located(named).path
    except ModelError:
        return None  # auto goes on without it
    return _folder_checksum(path) if path is not None and path.is_dir() else None


def _folder_checksum(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    return total.hexdigest()

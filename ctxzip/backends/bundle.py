"""A model folder on disk: a manifest, a tokenizer and networks, each with its checksum.

The shipped bundle lies beside the package in a wheel and in ``models/`` of a checkout; both are
found here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxzip.errors import ModelError
from ctxzip.kit.disk import sha256

__all__ = ["FORMAT_VERSION", "SHIPPED", "Bundle", "find", "is_bundle", "read"]

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
SHIPPED = "mini"  # the bundle that comes with the package
_AGAIN = "Reinstall ctxzip, or fetch the bundle again."


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose files were checked.

    Attributes:
        folder: where it lies.
        manifest: the content of its ``manifest.json``.
        networks: file name of each network by its role.
    """

    folder: Path
    manifest: Mapping[str, Any]
    networks: dict[str, str]

    @property
    def tokenizer(self) -> Path:
        """Its ``tokenizer.json``."""
        return self.folder / "tokenizer.json"


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle."""
    return (folder / MANIFEST).is_file()


def find(name: str) -> Path:
    """The folder of a shipped bundle.

    Raises:
        ModelError: this installation has none of that name.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "_bundles" / name, package.parent / "models" / name / "bundle")
    for place in places:
        if is_bundle(place):
            return place
    raise ModelError(
        f"The bundle {name!r} is not installed (looked in {', '.join(map(str, places))}).",
        hint=_AGAIN,
    )


def read(folder: Path, *, check: bool = True) -> Bundle:
    """Read a bundle's manifest and check its files.

    Args:
        folder: where it lies.
        check: compare checksums, which reads every byte; sizes are always compared.

    Raises:
        ModelError: the manifest is missing or damaged, its format is unknown, or a file is missing
            or not the one that the manifest describes; the message names the file.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, files = manifest["format_version"], manifest["files"]
        expected = {
            name: (int(facts["size"]), str(facts["sha256"])) for name, facts in files.items()
        }
        networks = {str(role): str(file) for role, file in manifest["networks"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read: {error!r}.", hint=_AGAIN) from error
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format version {version!r}; this ctxzip reads {FORMAT_VERSION}.",
            hint="Install the version of ctxzip that the bundle was made for.",
        )
    for name, (size, digest) in expected.items():
        _check(folder / name, size, digest if check else None)
    return Bundle(folder, manifest, networks)


def _check(path: Path, size: int, digest: str | None) -> None:
    try:
        found = path.stat().st_size
        if found != size:
            raise ModelError(f"{path} has {found} bytes instead of {size}.", hint=_AGAIN)
        if digest is None:
            return
        actual = sha256(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}.", hint=_AGAIN) from error
    if actual != digest:
        raise ModelError(
            f"{path} has the wrong checksum: sha256 {actual} instead of {digest}.", hint=_AGAIN
        )

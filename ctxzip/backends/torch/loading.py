"""Checkpoints run by PyTorch through transformers: token ids in, NumPy arrays out.

Nothing but safetensors is read unless the caller allows more, and no code of a checkpoint is ever
run. A hub name is looked up on this machine first; the network is asked only where the caller gave
the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ctxzip.backends.encoder import Encoded, Frame, frame_of, pad_id, plain
from ctxzip.backends.model_files import Format, located
from ctxzip.errors import InputError, ModelError
from ctxzip.kit.arrays import Float32Array, IntArray
from ctxzip.kit.extras import require
from ctxzip.kit.once import Once
from ctxzip.kit.padding import batches, padded

__all__ = ["Placement", "TorchEncoder", "halving", "load_model", "load_tokenizer", "resolve_device"]

T = TypeVar("T")
ENCODER = ("AutoModel", "", "last_hidden_state")
TOKEN_CLASSIFIER = ("AutoModelForTokenClassification", "ForTokenClassification", "logits")
_DTYPES = ("auto", "float32", "float16", "bfloat16")
# Padded tokens of one batch: enough to fill the cores, small enough for caches and small GPUs.
_CPU_TOKENS, _GPU_TOKENS = 2048, 32_768


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a checkpoint runs.

    Attributes:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"auto"`` (the best there is).
        dtype: ``"float32"``, ``"float16"``, ``"bfloat16"``, or ``"auto"``: float32 on CPU, half
            precision on GPUs.
        compiled: run the model through ``torch.compile``.
        download: a hub name that is not on this machine may be fetched.
        pickles: weights that are pickles may be read; they can run code, so never by default.
    """

    device: str = "auto"
    dtype: str = "auto"
    compiled: bool = False
    download: bool = False
    pickles: bool = False


def resolve_device(device: str) -> str:
    """The device that a name stands for.

    Raises:
        InputError: no device has that name.
        ModelError: this machine has no such device.
    """
    torch = require("torch")
    kind = device.partition(":")[0]
    if kind not in ("auto", "cpu", "cuda", "mps"):
        raise InputError(
            f"device={device!r} is unknown.", hint='Use "auto", "cpu", "cuda" or "mps".'
        )
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if kind == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise ModelError(
            f"device={device!r} is not available on this machine.", hint='Use device="auto".'
        )
    return device


def resolve_dtype(dtype: str, device: str) -> Any:
    """The torch dtype that a name stands for on a device."""
    torch = require("torch")
    if dtype not in _DTYPES:
        raise InputError(f"dtype={dtype!r} is unknown.", hint=f"Use one of: {', '.join(_DTYPES)}.")
    if dtype == "auto":
        if device == "cpu":
            return torch.float32
        half = device.startswith("cuda") and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if half else torch.float16
    return getattr(torch, dtype)


def _explain(name: str, error: Exception, placement: Placement) -> ModelError:
    shown = str(error).strip().partition("\n")[0]
    if Path(name).is_dir():
        hint = "The folder needs config.json, a tokenizer and weights as .safetensors."
    elif placement.download:
        hint = "Check the name and the network, or give the path of a folder."
    else:
        hint = f'It is not on this machine. Allow the download with model="{name}", or give a path.'
    return ModelError(f"The checkpoint {name!r} cannot be loaded: {shown}.", hint=hint)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers while it loads, and leave its logger and progress bars as they were."""
    logging = require("transformers").utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _cached(name: str) -> str | None:
    """The folder of a checkpoint on this machine: itself, or its snapshot in the hub's cache.

    Looked up by path: the hub's client asks the network for other things even when it is told to
    use local files only.
    """
    if Path(name).is_dir():
        return name
    hub = require("huggingface_hub")
    for file in ("config.json", "adapter_config.json"):
        try:
            found = hub.try_to_load_from_cache(name, file)
        except ValueError:  # not even the shape of a hub name
            return None
        if isinstance(found, str):
            return str(Path(found).parent)
    return None


def _loaded(name: str, placement: Placement, load: Callable[..., T], **arguments: Any) -> T:
    """Call a ``from_pretrained``; what this machine has is used without asking the network."""
    require("transformers")
    common = {"trust_remote_code": False, **arguments}
    local = _cached(name)
    if local is None and not placement.download:
        raise _explain(
            name, OSError("no such folder, and nothing in the cache of the hub"), placement
        )
    try:
        if local is not None:
            with _quiet():
                return load(local, local_files_only=True, **common)
    except Exception as error:  # transformers raises OSError, ValueError, RuntimeError and more
        if Path(name).is_dir() or not placement.download:
            raise _explain(name, error, placement) from error
    try:
        with _quiet():
            return load(name, **common)
    except Exception as error:
        raise _explain(name, error, placement) from error


def gguf_source(name: str) -> tuple[str, dict[str, Any]]:
    """The folder of a checkpoint, and what transformers must be told where it is a GGUF file.

    Raises:
        ModelError: there is no such file.
        MissingExtraError: the package that reads it is missing.
    """
    files = located(name)
    if files.format is not Format.GGUF or files.path is None:
        return name, {}
    require("gguf", "gguf")
    if not files.path.is_file():
        raise ModelError(f"There is no file {name!r}.")
    return str(files.path.parent), {"gguf_file": files.path.name}


def load_tokenizer(name: str, placement: Placement) -> Any:
    """The transformers tokenizer of a checkpoint.

    Raises:
        ModelError: there is none, or it is not one of the fast tokenizers.
    """
    auto = require("transformers").AutoTokenizer
    folder, source = gguf_source(name)
    tokenizer = _loaded(folder, placement, auto.from_pretrained, **source)
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ModelError(
            f"The tokenizer of {name!r} is written in Python and gives no offsets.",
            hint="Convert it to a tokenizer.json first.",
        )
    return tokenizer


def load_model(name: str, placement: Placement, auto: str, *architecture: str) -> Any:
    """A model in evaluation mode, on its device.

    Args:
        name: folder or hub name.
        placement: where and how.
        auto: the transformers class that reads it, such as ``"AutoModelForTokenClassification"``.
        architecture: what the checkpoint must declare one of, parts of class names; empty for any.

    Raises:
        ModelError: it cannot be loaded, or is of another kind.
    """
    transformers = require("transformers")
    folder, source = gguf_source(name)
    config = _loaded(folder, placement, transformers.AutoConfig.from_pretrained, **source)
    declared = list(getattr(config, "architectures", None) or [])
    known = any(part in kind for part in architecture for kind in declared)
    if any(architecture) and not source and not known:
        raise ModelError(
            f"The checkpoint {name!r} is a {', '.join(declared) or 'model of no declared kind'};"
            f" a {architecture[0]} is needed.",
            hint="Give a checkpoint that was made for this compressor.",
        )
    device = resolve_device(placement.device)
    if not source:
        source = {"use_safetensors": True if not placement.pickles else None}
    model = _loaded(
        folder,
        placement,
        getattr(transformers, auto).from_pretrained,
        dtype=resolve_dtype(placement.dtype, device),
        **source,
    )
    return model.to(device).eval()


def folder_of(name: str, placement: Placement) -> Path:
    """Where the JSON files of a checkpoint lie on this machine."""
    local = _cached(name)
    if local is not None:
        return Path(local)

    def fetch(repository: str, local_files_only: bool = False, **_: Any) -> str:
        found: str = require("huggingface_hub").snapshot_download(
            repository,
            allow_patterns=["*.json", "*/config.json"],
            local_files_only=local_files_only,
        )
        return found

    return Path(_loaded(name, placement, fetch))


def halving(run: Callable[[list[int]], list[T]], batch: list[int], notes: list[str]) -> list[T]:
    """Run a batch; where the GPU's memory is too small, run its halves.

    Raises:
        ModelError: a single input does not fit.
    """
    torch = require("torch")
    try:
        return run(batch)
    except torch.OutOfMemoryError as error:
        if len(batch) == 1:
            raise ModelError(
                "The device's memory is too small for a single input.",
                hint='Use device="cpu", dtype="bfloat16" or a smaller model.',
            ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(batch) // 2
    note = f"out of device memory: a batch of {len(batch)} was halved"
    if note not in notes:
        notes.append(note)
    return halving(run, batch[:half], notes) + halving(run, batch[half:], notes)


class TorchEncoder:
    """An encoder checkpoint: logits (a classifier) or hidden states per token. Thread-safe.

    Args:
        name: folder or hub name.
        placement: where and how.
        kind: the transformers class that reads it, what the checkpoint must declare, and the field
            of the model's output that is wanted.
    """

    def __init__(
        self, name: str, placement: Placement, *, kind: tuple[str, str, str] = ENCODER
    ) -> None:
        self.name = name
        self._placement = placement
        self._kind = kind
        hf = load_tokenizer(name, placement)
        self.tokenizer = plain(hf.backend_tokenizer)
        self._model = Once(self._loaded)
        config = self.model.config
        pad = hf.pad_token_id if hf.pad_token_id is not None else pad_id(hf.backend_tokenizer)
        self.frame: Frame = frame_of(self.tokenizer, pad, _window(config, hf), name)
        self._vocabulary = len(hf)

    @property
    def model(self) -> Any:
        """The transformers model, loaded on first use."""
        return self._model()

    def _loaded(self) -> Any:
        auto, architecture, _ = self._kind
        model = load_model(self.name, self._placement, auto, architecture)
        return require("torch").compile(model, dynamic=True) if self._placement.compiled else model

    def forward(self, inputs: Sequence[IntArray]) -> Encoded:
        """See :class:`ctxzip.backends.encoder.Encoder`."""
        states: list[Float32Array | None] = [None] * len(inputs)
        notes: list[str] = []
        on_cpu = self.model.device.type == "cpu"
        most, multiple = (_CPU_TOKENS, 16) if on_cpu else (_GPU_TOKENS, 64)
        for batch, length in batches([len(ids) for ids in inputs], most, multiple):
            size = min(length, self.frame.window)

            def run(members: list[int], size: int = size) -> list[Float32Array]:
                return self._run([inputs[i] for i in members], size)

            for i, found in zip(batch, halving(run, batch, notes), strict=True):
                states[i] = found
        return Encoded([found for found in states if found is not None], tuple(notes))

    def _run(self, rows: list[IntArray], length: int) -> list[Float32Array]:
        torch = require("torch")
        ids, mask = padded(rows, length, self.frame.pad)
        device = self.model.device
        with torch.inference_mode():
            output = self.model(
                input_ids=torch.from_numpy(ids).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
            )
            array: Float32Array = getattr(output, self._kind[2]).float().cpu().numpy()
        if array.ndim == 2:  # one row per input, not per token
            return [array[i : i + 1] for i in range(len(rows))]
        return [array[i, : len(row)] for i, row in enumerate(rows)]

    def add_tokens(self, count: int, seed: int) -> None:
        """Give the model ``count`` more embeddings behind its vocabulary, drawn from ``seed``."""
        torch = require("torch")
        with torch.random.fork_rng(), _quiet():
            torch.manual_seed(seed)
            self.model.resize_token_embeddings(self._vocabulary + count)

    def close(self) -> None:
        """Release the weights; the next call loads them again."""
        self._model.close()


def counts_from_padding(config: Any) -> bool:
    """Whether a model counts positions from behind its padding id, and so by itself."""
    kind = str(getattr(config, "model_type", ""))
    return kind.startswith(("roberta", "xlm-roberta", "camembert", "mpnet"))


def _window(config: Any, tokenizer: Any) -> int:
    """Most tokens of one input, special tokens included."""
    positions = int(getattr(config, "max_position_embeddings", 0) or 512)
    if counts_from_padding(config):
        positions -= 2  # their positions are counted from behind the padding id
    limit = int(min(getattr(tokenizer, "model_max_length", positions), positions))
    return limit if limit > 2 else positions

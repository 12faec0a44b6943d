"""A language model in a GGUF file, as llama.cpp's users have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ctxzip
from ctxzip import Document

gguf = pytest.importorskip("gguf")
pytest.importorskip("torch")
pytest.importorskip("transformers")

HIDDEN, HEADS, LAYERS, INNER = 32, 4, 2, 64


def byte_letters() -> list[str]:
    """GPT-2's letter for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in shown}
    for byte in range(256):
        letters.setdefault(byte, chr(256 + len(letters) - len(shown)))
    return [letters[byte] for byte in range(256)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights and one token for each byte and a few pairs."""
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    pairs = [("e", "r"), ("i", "n"), ("s", "e"), ("\u0120", "=")]
    tokens = [*byte_letters(), *(a + b for a, b in pairs), "<s>", "</s>"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(1024)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges([f"{a} {b}" for a, b in pairs])
    kinds = [gguf.TokenType.NORMAL] * (len(tokens) - 2) + [gguf.TokenType.CONTROL] * 2
    writer.add_token_types(kinds)
    writer.add_bos_token_id(len(tokens) - 2)
    writer.add_eos_token_id(len(tokens) - 1)
    rng = np.random.default_rng(1)

    def add(name: str, *shape: int) -> None:
        values = np.ones(shape) if len(shape) == 1 else rng.normal(0, 0.3, shape)
        writer.add_tensor(name, values.astype(np.float32))

    add("token_embd.weight", len(tokens), HIDDEN)
    add("output.weight", len(tokens), HIDDEN)
    add("output_norm.weight", HIDDEN)
    for i in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{i}.{name}.weight", HIDDEN, HIDDEN)
        add(f"blk.{i}.attn_norm.weight", HIDDEN)
        add(f"blk.{i}.ffn_norm.weight", HIDDEN)
        add(f"blk.{i}.ffn_gate.weight", INNER, HIDDEN)
        add(f"blk.{i}.ffn_up.weight", INNER, HIDDEN)
        add(f"blk.{i}.ffn_down.weight", HIDDEN, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_longcodezip_reads_a_gguf_file(checkpoint: Path):
    text = "\n\n".join(
        f"def step_{i}(value):\n    total = value + {i}\n    return total * {i}\n"
        for i in range(12)
    )
    compressor = ctxzip.load("longcodezip", model=str(checkpoint), device="cpu")
    query = "Which step multiplies by seven?"
    result = ctxzip.compress([Document(text, id="a.py")], 0.4, query=query, compressor=compressor)
    assert 0 < result.tokens_after <= (result.ceiling or 0)
    assert "ranked by perplexity" in " ".join(result.path)
    assert len({unit.score for unit in result.documents[0].units}) == 12
    compile(result.text, "a.py", "exec")


def test_a_damaged_gguf_file_is_named(checkpoint: Path, tmp_path: Path):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(checkpoint.read_bytes()[:300])
    compressor = ctxzip.load("longcodezip", model=str(damaged), device="cpu")
    with pytest.raises(ctxzip.ModelError, match="damaged"):
        ctxzip.compress([Document("def a():\n    b()\n" * 9, id="a.py")], 0.4, query="b",
                        compressor=compressor)  # fmt: skip

"""A whole RAG pipeline, with and without ctxzip: answers, tokens and seconds side by side.

    python examples/rag.py                                    prints the prompts side by side
    python examples/rag.py --reader model.gguf                a local reader; needs torch, gguf,
                                                              transformers and accelerate
    python examples/rag.py --api http://localhost:8000/v1 --model NAME
                                                              any OpenAI-compatible endpoint

The corpus is the handbook of an invented water works, in examples/corpus. ``--embedder`` takes a
folder with a sentence embedding model such as all-MiniLM-L6-v2; without one, words are hashed into
tf-idf vectors. The index is faiss where faiss-cpu is installed.
"""

import argparse
import json
import os
import re
import textwrap
import time
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

import ctxzip

QUESTIONS = {
    "When was pump H1 replaced?": "12 March 2019",
    "How long does washing a filter take?": "22 minutes",
    "Who issues a boil-water notice?": "doctor",
    "What share of the water produced was lost to leakage in 2023?": "21 %",
    "For how many hours does the fuel of the plant's generator last?": "52",
    "Below what level in Haugen are the ship-filling points closed?": "25 %",
}
PROMPT = "Answer in a few words, from the context only.\n\nContext:\n{}\n\nQuestion: {}\nAnswer:"
DIMENSIONS = 4096
Embed = Callable[[list[str]], np.ndarray]
Read = Callable[[str], str]


def hashed_tfidf(corpus: list[str]) -> Embed:
    """A simple stand-in for an embedding model: hashed words, weighted by how rare they are."""

    def counts(text: str) -> np.ndarray:
        row = np.zeros(DIMENSIONS, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            row[zlib.crc32(word.rstrip("s").encode()) % DIMENSIONS] += 1
        return np.log1p(row)

    rows = np.stack([counts(text) for text in corpus])
    rarity = np.log((1 + len(rows)) / (1 + (rows > 0).sum(axis=0)))
    return lambda texts: normalised(np.stack([counts(text) for text in texts]) * rarity)


def sentence_model(folder: str) -> Embed:
    """Mean-pooled token vectors of a BERT-like model."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)

    def embed(texts: list[str]) -> np.ndarray:
        batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        return normalised(((hidden * mask).sum(1) / mask.sum(1)).numpy())

    return embed


def normalised(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype("float32")


def retriever(texts: list[str], embed: Embed, top: int) -> Callable[[str], list[int]]:
    """The indices of the documents nearest to a question, best first."""
    rows = embed(texts)
    try:
        import faiss
    except ImportError:
        print("faiss-cpu is not installed; searching with NumPy instead.\n")
        return lambda question: np.argsort(-(rows @ embed([question])[0]))[:top].tolist()
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return lambda question: index.search(embed([question]), top)[1][0].tolist()


def local_reader(path: str) -> Read:
    """A GGUF file or a transformers folder, read on the CPU."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = Path(path)
    where = {"gguf_file": file.name} if file.is_file() else {}
    folder = str(file.parent if file.is_file() else file)
    tokenizer = AutoTokenizer.from_pretrained(folder, **where)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **where)

    def read(prompt: str) -> str:
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            out = model.generate(**ids, max_new_tokens=24, do_sample=False)
        return tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)

    return read


def api_reader(base: str, model: str) -> Read:
    """Any OpenAI-compatible endpoint; the key is taken from OPENAI_API_KEY."""

    def read(prompt: str) -> str:
        chat = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": chat, "max_tokens": 48, "temperature": 0}
        headers = {
            "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}",
            "Content-Type": "application/json",
        }
        url = base.rstrip("/") + "/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=120) as reply:
            return str(json.load(reply)["choices"][0]["message"]["content"])

    return read


def side_by_side(left: str, right: str, width: int = 62) -> None:
    """Two texts in two columns."""
    columns = [
        [w for p in t.splitlines() for w in textwrap.wrap(p, width) or [""]] for t in (left, right)
    ]
    for i in range(max(map(len, columns))):
        a, b = (column[i] if i < len(column) else "" for column in columns)
        print(f"{a:<{width}} | {b}".rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", help="folder of a sentence embedding model")
    parser.add_argument("--reader", help="GGUF file or folder of a causal language model")
    parser.add_argument("--api", help="base URL of an OpenAI-compatible endpoint")
    parser.add_argument("--model", default="default", help="model name for --api")
    parser.add_argument("--top", type=int, default=3, help="documents to retrieve")
    parser.add_argument("--tokens", type=int, default=250, help="ceiling for the context")
    given = parser.parse_args()
    files = sorted(Path(__file__).with_name("corpus").glob("*.md"))
    texts = [file.read_text(encoding="utf-8").strip() for file in files]
    embed = sentence_model(given.embedder) if given.embedder else hashed_tfidf(texts)
    search = retriever(texts, embed, given.top)
    read = api_reader(given.api, given.model) if given.api else None
    read = local_reader(given.reader) if given.reader else read
    hits, shown = [0, 0], False
    ctxzip.compress(texts[0], query="warm up")
    for question, expected in QUESTIONS.items():
        passages = [texts[i] for i in search(question)]
        begun = time.perf_counter()
        result = ctxzip.compress(passages, query=question, target_tokens=given.tokens)
        spent = time.perf_counter() - begun
        print(f"{question}  (expected: {expected})")
        if read is None and not shown:
            shown = True
            side_by_side(
                *(PROMPT.format(c, question) for c in ("\n\n".join(passages), result.text))
            )
        rows = (("full", "\n\n".join(passages), result.tokens_before, 0.0),
                ("ctxzip", result.text, result.tokens_after, spent))  # fmt: skip
        for i, (name, context, tokens, seconds) in enumerate(rows):
            begun = time.perf_counter()
            answer = read(PROMPT.format(context, question)).strip() if read else context
            total = seconds + time.perf_counter() - begun
            found = "".join(expected.lower().split()) in "".join(answer.lower().split())
            hits[i] += found
            said = " ".join(answer.split())[:70] if read else f"answer in the context: {found}"
            print(f"  {name:<7}{tokens:>6} tokens{total:>8.2f} s   {said}")
    print(f"\nExpected answer found: full {hits[0]}, ctxzip {hits[1]} of {len(QUESTIONS)}.")


if __name__ == "__main__":
    main()

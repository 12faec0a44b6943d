"""Sentences embedded once, before any question: a question then costs its own encoding only.

Needs faiss: pip install -e ".[index]". On the command line the same is

    ctxzip corpus index examples/corpus -o handbook.index
"""

import tempfile
import time
from pathlib import Path

import ctxzip

FOLDER = Path(__file__).with_name("corpus")
QUESTION = "When was pump H1 replaced?"

# The passages as the retriever will return them: here, the sections of a handbook.
passages = [
    ctxzip.Document(section.strip(), id=f"{path.stem}-{i}", title=path.stem)
    for path in sorted(FOLDER.glob("*.md"))
    for i, section in enumerate(path.read_text(encoding="utf-8").split("\n## "))
]

with tempfile.TemporaryDirectory() as scratch:
    index = ctxzip.SentenceIndex(storage="int8")
    index.add(passages)
    index.save(Path(scratch) / "handbook.index")  # a folder; ctxzip.SentenceIndex.load reads it

    print(
        f"{index.documents} passages, {index.sentences} sentences, {index.nbytes:,} bytes of"
        f" vectors; as float32 they would take {index.sentences * index.dimension * 4:,}."
    )

retrieved = [passage for passage in passages if passage.title in ("pumps", "intake", "filters")]
without = ctxzip.load("recomp-extractive", model="mini")
for name, how in (("with the index", {"index": index}), ("without it", {"compressor": without})):
    ctxzip.compress("Warm up. Now.", 0.5, query=QUESTION, **how)
    begun = time.perf_counter()
    result = ctxzip.compress(retrieved, query=QUESTION, target_tokens=150, **how)
    spent = time.perf_counter() - begun
    print(f"{result.tokens_before} -> {result.tokens_after} tokens, {spent * 1000:.0f} ms {name}")

print(f"\n{QUESTION}\n\n{result.text}")

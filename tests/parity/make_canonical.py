"""Compute ``canonical.json`` with the authors' own code, which is not part of this repository.

    git clone RECOMP's and EXIT's repositories (carriex/recomp, ThisIsHwang/EXIT on GitHub)
    python -m tests.parity.make_canonical PATH/TO/recomp PATH/TO/EXIT

Made with commits d746d9f of RECOMP and caa96ea of EXIT, on the tiny
checkpoints that ``tests.checkpoints.by_formula`` writes. Only the authors' scoring functions run;
what they are handed is ours. RECOMP gets sentences with their titles before them, where its own
script passes texts as they are. EXIT is asked sentence by sentence with the sentence's own document
as the full context, as in its training and in its later code (4c0141a); the pipeline of this commit
joins all documents.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from tests import checkpoints

HERE = Path(__file__).parent
QUERY = "When was the pump inspected?"
DOCUMENTS = [
    {
        "title": "Yearly report",
        "sentences": [
            "The pump was inspected on 3 May 2019, two weeks late.",
            "Nobody had told the engineer about the valve.",
            "It cost 1,200 francs (not 120).",
            "Was the hose replaced?",
        ],
    },
    {"title": "", "sentences": ["The valve of the old pump leaks.", "No other pump does!"]},
]


def module(path: Path, *stand_ins: str) -> Any:
    """A module from a file; packages that the functions used here do not touch are stubbed."""
    for name in stand_ins:
        if importlib.util.find_spec(name) is None:
            stub: Any = types.ModuleType(name)
            stub.BM25Okapi = stub.load = None
            sys.modules[name] = stub
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def recomp(repository: Path, folder: Path) -> list[float]:
    """RECOMP's scores of all sentences, with titles put before them here."""
    from transformers import AutoModel, AutoTokenizer

    code = module(repository / "run_extractive_compressor.py", "pandas", "rank_bm25")
    texts = [f"{d['title']} {s}" if d["title"] else s for d in DOCUMENTS for s in d["sentences"]]
    row = {"query": QUERY, "retrieved_docs": [{"text": text} for text in texts]}
    scores: list[float] = code.get_contriever_scores(
        AutoModel.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
        row,
        "cpu",
        -1,
    )
    return scores


def exit_scores(repository: Path, folder: Path) -> list[float]:
    """EXIT's P("Yes") of all sentences."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    code = module(repository / "exit_rag.py", "spacy", "peft")
    asked = types.SimpleNamespace(
        exit_model=AutoModelForCausalLM.from_pretrained(folder).eval(),
        exit_tokenizer=AutoTokenizer.from_pretrained(folder),
    )
    scores = []
    for document in DOCUMENTS:
        text = " ".join(document["sentences"])
        context = f"{document['title']}\n{text}" if document["title"] else text
        for sentence in document["sentences"]:
            _, score = code.ExitRAG.get_sentence_relevance(asked, QUERY, context, sentence)
            scores.append(score)
    return scores


def main() -> None:
    """The command."""
    theirs = [Path(argument) for argument in sys.argv[1:3]]
    with tempfile.TemporaryDirectory() as scratch:
        encoder = checkpoints.by_formula(Path(scratch) / "encoder", "encoder")
        causal = checkpoints.by_formula(Path(scratch) / "causal", "causal")
        record = {
            "query": QUERY,
            "documents": DOCUMENTS,
            "recomp": recomp(theirs[0], encoder),
            "exit": exit_scores(theirs[1], causal),
        }
    (HERE / "canonical.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

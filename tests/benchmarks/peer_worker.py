"""One compressor over a file of requests, in the environment it was installed into.

    python peer_worker.py NAME REQUESTS OUTPUT MODELS ROOT

``peers.py`` runs this. Every line of REQUESTS is an object with id, query, texts, titles, ratio,
tokens and ceiling; every line written has id, text and seconds. Ids that OUTPUT holds are skipped.
A peer that takes a rate instead of a ceiling, or oversteps its ceiling, is asked again with less,
up to four times; the time of the last answer alone is counted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Request = dict[str, Any]
Run = Callable[[Request, float], str]
SEPARATOR = "\n\n"
TRIES = 4


def offline_tiktoken(root: str) -> Any:
    """Hand tiktoken's users the vocabularies that ctxzip ships: the same, without a download."""
    sys.path[0] = root  # instead of this folder, whose modules are nobody's packages
    import tiktoken

    from ctxzip.text import vocabulary

    def encoding_for_model(name: str) -> Any:
        four = name.startswith(("gpt-4o", "gpt-4.1", "gpt-5", "o1", "o3", "o4"))
        return vocabulary.load("o200k_base" if four else "cl100k_base")[0]

    tiktoken.get_encoding = lambda name: vocabulary.load(name)[0]
    tiktoken.encoding_for_model = encoding_for_model
    return vocabulary.load("o200k_base")[0]


# --- the peers --------------------------------------------------------------------------------


def ctxzip_method(name: str, models: Path) -> Run:
    """A compressor or baseline of ctxzip."""
    import ctxzip
    from ctxzip.evaluate.baselines import BASELINES

    minilm, smollm = str(models / "minilm"), str(models / "smollm2")
    made: dict[str, Callable[[], Any]] = {
        "recomp-extractive": lambda: ctxzip.load("recomp-extractive", model=minilm),
        "exit": lambda: ctxzip.load("exit", model=smollm),
        "llmlingua2": lambda: ctxzip.load(
            "llmlingua2", model=str(models / "random-bert-base-multilingual-cased")
        ),
    }
    if name in BASELINES:
        compressor: Any = BASELINES[name]
    else:
        compressor = made[name]() if name in made else ctxzip.load(name)

    def run(request: Request, rate: float) -> str:
        documents = [
            ctxzip.Document(text, title=title)
            for text, title in zip(request["texts"], request["titles"], strict=True)
        ]
        budget = ctxzip.Budget(tokens=request["ceiling"])
        return str(compressor.compress(documents, query=request["query"], budget=budget))

    return run


def llmlingua(name: str, models: Path) -> Run:
    """LLMLingua 0.2.2: with SmolLM2 as in its README, or LLMLingua-2 with random weights."""
    from llmlingua import PromptCompressor

    if name == "llmlingua-2":
        folder = str(models / "random-bert-base-multilingual-cased")
        second = PromptCompressor(folder, device_map="cpu", use_llmlingua2=True)

        def words(request: Request, rate: float) -> str:
            found = second.compress_prompt(
                request["texts"],
                rate=rate,
                force_tokens=["\n", "?"],
                use_context_level_filter=False,
            )
            return str(found["compressed_prompt"])

        return words
    first = PromptCompressor(str(models / "smollm2"), device_map="cpu")
    common = {"concate_question": False, "context_budget": "+100"}
    asking = {
        "condition_in_question": "after_condition",
        "reorder_context": "sort",
        "dynamic_context_compression_ratio": 0.3,
        "condition_compare": True,
        "rank_method": "longllmlingua",
    }

    def run(request: Request, rate: float) -> str:
        settings: dict[str, Any] = dict(common)
        if name == "longllmlingua":
            settings |= asking | {"question": request["query"]}
        found = first.compress_prompt(
            list(request["texts"]), target_token=int(rate * request["tokens"]), **settings
        )
        return str(found["compressed_prompt"])

    return run


def selective_context(name: str, models: Path) -> Run:
    """Selective-Context (Li et al., EMNLP 2023), written anew: its package needs spaCy 2's models.

    Self-information of every token under a causal language model, its mean over each unit, and
    the percentile of the paper. Units are sentences or tokens; noun phrases need a parser.
    """
    import re

    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models / "smollm2")
    model = AutoModelForCausalLM.from_pretrained(models / "smollm2", torch_dtype=torch.float32)
    model.eval()
    sentence = re.compile(r"[^.!?]+[.!?]*\s*")

    def information(text: str) -> tuple[list[tuple[int, int]], Any]:
        encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        ids = [tokenizer.bos_token_id or tokenizer.eos_token_id, *encoded["input_ids"]]
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, :-1]
        wanted = torch.tensor(ids[1:])[:, None]
        surprise = -torch.log_softmax(logits.float(), -1).gather(1, wanted)[:, 0]
        return encoded["offset_mapping"], surprise.numpy()

    def run(request: Request, rate: float) -> str:
        units: list[tuple[int, str, float]] = []
        for number, text in enumerate(request["texts"]):
            offsets, surprise = information(text)
            spans = offsets
            if name.endswith("sentences"):
                spans = [match.span() for match in sentence.finditer(text)]
            middle = np.array([(a + b) / 2 for a, b in offsets])
            for a, b in spans:
                inside = (middle >= a) & (middle < max(b, a + 1))
                mean = float(surprise[inside].mean()) if inside.any() else 0.0
                units.append((number, text[a:b], mean))
        bound = np.nanpercentile([u[2] for u in units], 100 * (1 - rate))
        kept = [""] * len(request["texts"])
        for number, piece, mean in units:
            if mean >= bound:
                kept[number] += piece
        return SEPARATOR.join(part.strip() for part in kept if part.strip())

    return run


def langchain(name: str, models: Path) -> Run:
    """The pipeline of LangChain's documentation: split, drop redundant pieces, rank."""
    from langchain_classic.retrievers.document_compressors import (
        DocumentCompressorPipeline,
        EmbeddingsFilter,
    )
    from langchain_community.document_transformers import EmbeddingsRedundantFilter
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import CharacterTextSplitter

    embeddings = HuggingFaceEmbeddings(model_name=str(models / "minilm"))
    pipeline = DocumentCompressorPipeline(
        transformers=[
            CharacterTextSplitter(chunk_size=300, chunk_overlap=0, separator=". "),
            EmbeddingsRedundantFilter(embeddings=embeddings),
            EmbeddingsFilter(embeddings=embeddings, k=10_000),
        ]
    )

    def run(request: Request, rate: float) -> str:
        documents = [Document(page_content=text) for text in request["texts"]]
        ranked = pipeline.compress_documents(documents, request["query"])
        return within(request, [piece.page_content for piece in ranked])

    return run


def within(request: Request, ranked: list[str]) -> str:
    """The first pieces of a ranking that fit: the ``k`` a user would set for this budget."""
    text = ""
    for piece in ranked:
        longer = f"{text}{SEPARATOR}{piece}" if text else piece
        if count(longer) > request["ceiling"]:
            break
        text = longer
    return text


def llama_index(name: str, models: Path) -> Run:
    """LlamaIndex' SentenceEmbeddingOptimizer with a percentile.

    Without its default of a neighbour on each side, which repeats sentences that stand together and
    makes the text longer than it was. The passages are one node: of a node of few sentences the
    percentile comes to none, and then it keeps them all.
    """
    from llama_index.core.postprocessor import SentenceEmbeddingOptimizer
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    model = HuggingFaceEmbedding(model_name=str(models / "minilm"))

    def run(request: Request, rate: float) -> str:
        optimizer = SentenceEmbeddingOptimizer(
            embed_model=model, percentile_cutoff=rate, context_before=0, context_after=0
        )
        node = NodeWithScore(node=TextNode(text=SEPARATOR.join(request["texts"])))
        left = optimizer.postprocess_nodes([node], QueryBundle(request["query"]))
        return str(left[0].node.get_content())

    return run


def trimwise(name: str, models: Path) -> Run:
    """trimwise as its README uses it, and ``hybrid`` with all-MiniLM as the embedding."""
    from trimwise import Trimmer

    trimmer, strategy = Trimmer(), "auto"
    if name == "trimwise-hybrid":
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(models / "minilm"))

        def embed(query: str, passages: Any) -> Any:
            vectors = model.encode([query, *passages], normalize_embeddings=True)
            return vectors[0], list(vectors[1:])

        trimmer, strategy = Trimmer(embedding_callback=embed), "hybrid"

    def run(request: Request, rate: float) -> str:
        result = trimmer.trim_context(
            request["texts"],
            limit=int(rate * request["tokens"]),
            strategy=strategy,
            query=request["query"],
            separator=SEPARATOR,
        )
        return str(result.text)

    return run


def llmslim(name: str, models: Path) -> Run:
    """llmslim's ``compress_documents`` with a query: the documents share the budget."""
    from llmslim import compress_documents

    def run(request: Request, rate: float) -> str:
        results = compress_documents(request["texts"], query=request["query"], target_ratio=rate)
        return SEPARATOR.join(r.compressed_text for r in results if r.compressed_text)

    return run


def headroom(name: str, models: Path) -> Run:
    """headroom's extractive prose compressor, the question as its context."""
    from headroom.transforms.text_crusher import TextCrusher

    crusher = TextCrusher()

    def run(request: Request, rate: float) -> str:
        text = SEPARATOR.join(request["texts"])
        return str(crusher.compress(text, request["query"], rate).compressed)

    return run


PEERS: dict[str, Callable[[str, Path], Run]] = {
    "llmlingua": llmlingua,
    "longllmlingua": llmlingua,
    "llmlingua-2": llmlingua,
    "selective-context-sentences": selective_context,
    "selective-context-tokens": selective_context,
    "langchain": langchain,
    "llama-index": llama_index,
    "trimwise": trimwise,
    "trimwise-hybrid": trimwise,
    "llmslim": llmslim,
    "headroom": headroom,
}


# --- running them -----------------------------------------------------------------------------


def count(text: str) -> int:
    """Tokens, as everything here is measured."""
    return len(ENCODING.encode(text, disallowed_special=()))


def answered(run: Run, request: Request) -> dict[str, Any]:
    """An answer within the ceiling, if the peer gives one."""
    rate = request["ratio"]
    text, seconds = "", 0.0
    for _ in range(TRIES):
        begun = time.perf_counter()
        text = run(request, rate)
        seconds = time.perf_counter() - begun
        tokens = count(text)
        if tokens <= request["ceiling"]:
            break
        rate *= 0.97 * request["ceiling"] / tokens
    return {"id": request["id"], "text": text, "seconds": seconds}


def main() -> None:
    """The command."""
    global ENCODING  # noqa: PLW0603
    name, requests, output, models, root = sys.argv[1:]
    os.environ.update(HF_HUB_OFFLINE="1", HEADROOM_OFFLINE="1", TOKENIZERS_PARALLELISM="true")
    ENCODING = offline_tiktoken(root)
    out = Path(output)
    done = set()
    if out.exists():
        done = {json.loads(line)["id"] for line in out.read_text("utf-8").splitlines()}
    todo = [json.loads(line) for line in Path(requests).read_text("utf-8").splitlines()]
    todo = [request for request in todo if request["id"] not in done]
    if not todo:
        return
    factory = PEERS.get(name)
    run = factory(name, Path(models)) if factory else ctxzip_method(name, Path(models))
    # Loading and first calls are not timed; a text of its own, so that no cache helps later.
    first = {"id": "", "query": "Who?", "texts": ["One sentence. And another one here."] * 2}
    run({**first, "titles": [None, None], "ratio": 0.5, "tokens": 20, "ceiling": 10}, 0.5)
    with out.open("a", encoding="utf-8") as file:
        for request in todo:
            file.write(json.dumps(answered(run, request), ensure_ascii=False) + "\n")
            file.flush()


ENCODING: Any = None

if __name__ == "__main__":
    main()

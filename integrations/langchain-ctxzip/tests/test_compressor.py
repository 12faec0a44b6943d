"""Retrieved documents come out shorter, traceable, and otherwise as they were."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from typing import Any
from uuid import UUID

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import DocumentCompressorPipeline
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.load import dumps, loads
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_ctxzip import CtxzipCompressor, CtxzipTransformer
from pydantic import ValidationError

import ctxzip
from ctxzip import CompressionEvent


def cut(text: str, spans: list[list[int]]) -> str:
    return "".join(text[a:b] for a, b in spans)


def test_documents_are_shortened_and_can_be_traced(documents: list[Document], query: str) -> None:
    before = copy.deepcopy(documents)
    found = CtxzipCompressor(ratio=0.6).compress_documents(documents, query)
    assert documents == before
    assert "replaced on 12 March 2021" in found[0].page_content
    by_id = {document.id: document for document in documents}
    assert [d.id for d in found] == [d.id for d in documents if d.id in {f.id for f in found}]
    for one in found:
        given = by_id[one.id]
        assert {k: v for k, v in one.metadata.items() if k != "ctxzip"} == given.metadata
        entry = one.metadata["ctxzip"]
        assert cut(given.page_content, entry["spans"]) == one.page_content
        assert entry["tokens_after"] <= entry["tokens_before"]
        assert entry["compressor"] == ctxzip.compress(given.page_content).compressor
        json.dumps(one.metadata)


def test_it_gives_what_ctxzip_gives(documents: list[Document], query: str) -> None:
    found = CtxzipCompressor(target_tokens=40).compress_documents(documents, query)
    direct = ctxzip.compress([d.page_content for d in documents], query=query, target_tokens=40)
    assert [d.page_content for d in found] == [d.text for d in direct.documents if d.text]
    assert direct.tokens_after <= 40
    coroutine = CtxzipCompressor(target_tokens=40).acompress_documents(documents, query)
    assert asyncio.run(coroutine) == found


def test_the_budget_is_shared_or_applies_to_each(documents: list[Document], query: str) -> None:
    each = CtxzipCompressor(target_tokens=25, budget_scope="each")
    found = each.compress_documents(documents, query)
    assert len(found) == 3
    assert all(0 < d.metadata["ctxzip"]["tokens_after"] <= 25 for d in found)


def test_vanished_documents_are_dropped_or_kept_empty(
    documents: list[Document], query: str
) -> None:
    dropped = CtxzipCompressor(target_tokens=20).compress_documents(documents, query)
    kept = CtxzipCompressor(target_tokens=20, drop_empty=False).compress_documents(documents, query)
    assert [d.id for d in kept] == ["d0", "d1", "d2"]
    assert "" in [d.page_content for d in kept]
    assert [d.id for d in dropped] == [d.id for d in kept if d.page_content]
    with_option = CtxzipCompressor(target_tokens=20, options=ctxzip.Options(drop_empty=True))
    assert [d.id for d in with_option.compress_documents(documents, query)] == [
        d.id for d in dropped
    ]


def test_odd_documents_are_handled(query: str) -> None:
    compressor = CtxzipCompressor(ratio=0.6, drop_empty=False)
    assert compressor.compress_documents([], query) == []
    assert asyncio.run(compressor.acompress_documents([], query)) == []
    bare = Document.model_construct(page_content="It rains. It pours.", metadata=None, id=None)
    empty = Document(page_content="", metadata={"image": "x.png"})
    blank = Document(page_content=" \n ")
    huge = Document(page_content="It rains. It pours.", metadata={"blob": "x" * 10_000_000})
    found = compressor.compress_documents([empty, bare, blank, huge], None)
    assert found[0].page_content == ""
    assert found[0].metadata["image"] == "x.png"
    assert empty.metadata == {"image": "x.png"}
    assert found[-1].metadata["blob"] is huge.metadata["blob"]
    with pytest.raises(ctxzip.InputError, match="surrogate"):
        compressor.compress_documents([Document(page_content="a \ud800")], query)


def test_provenance_can_be_a_string_or_left_out(documents: list[Document], query: str) -> None:
    text = CtxzipCompressor(provenance="json").compress_documents(documents, query)[0]
    assert cut(documents[0].page_content, json.loads(text.metadata["ctxzip"])["spans"])
    none = CtxzipCompressor(provenance=None).compress_documents(documents, query)[0]
    assert none.metadata == documents[0].metadata


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ratio": 0.5, "target_tokens": 9}, "Two ceilings"),
        ({"ratio": 0}, "not a positive number"),
        ({"compressor": "lexcial"}, "Nearest: lexical"),
        ({"timeout": -1}, "timeout"),
        ({"on_error": "ignore"}, "on_error"),
        ({"budget_scope": "some"}, "budget_scope"),
        ({"ratios": 0.5}, "ratios"),
        ({"compressor": 3}, "compressor"),
        ({"target_tokens": True}, "target_tokens"),
    ],
)
def test_wrong_settings_are_refused_at_once(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CtxzipCompressor(**fields)


def test_a_failing_compressor_is_replaced_under_the_ceiling(
    documents: list[Document], query: str, throwing: Any, hanging: Any
) -> None:
    for compressor, timeout in ((throwing, 20), (hanging, 0.1)):
        node = CtxzipCompressor(compressor=compressor, target_tokens=40, timeout=timeout)
        found = node.compress_documents(documents, query)
        assert asyncio.run(node.acompress_documents(documents, query)) == found
        assert sum(d.metadata["ctxzip"]["tokens_after"] for d in found) <= 40
        entry = found[0].metadata["ctxzip"]
        assert entry["compressor"] == "lexical"
        assert entry["fallback"].startswith(("ModelError", "CompressionTimeoutError"))
    originals = CtxzipCompressor(compressor=throwing, threshold=0.5)
    found = originals.compress_documents(documents, query)
    assert [d.page_content for d in found] == [d.page_content for d in documents]
    strict = CtxzipCompressor(compressor=throwing, on_error="raise")
    with pytest.raises(ctxzip.ModelError, match="damaged"):
        strict.compress_documents(documents, query)


def test_hooks_get_the_numbers(documents: list[Document], query: str) -> None:
    seen: list[CompressionEvent] = []
    CtxzipCompressor(ratio=0.5, on_event=seen.append).compress_documents(documents, query)
    assert seen[0].documents == 3
    assert seen[0].tokens_before > seen[0].tokens_after


class Diary(BaseCallbackHandler):
    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.lines.append(("start", kwargs.get("name"), kwargs["parent_run_id"] is not None))

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.lines.append(("end", len(outputs["documents"])))

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        self.lines.append(("error", type(error).__name__))

    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self.lines.append((name, data))


class AsyncDiary(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.names: list[str] = []

    async def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self.names.append(name)


def test_callbacks_see_the_step(documents: list[Document], query: str, throwing: Any) -> None:
    diary = Diary()
    CtxzipCompressor(ratio=0.9).compress_documents(documents, query, callbacks=[diary])
    start, (name, numbers), end = diary.lines
    assert start == ("start", "CtxzipCompressor", False)
    assert name == "ctxzip.compression"
    assert numbers["tokens_after"] < numbers["tokens_before"]
    assert end[0] == "end"
    failing = CtxzipCompressor(compressor=throwing, ratio=0.9)
    later = AsyncDiary()
    asyncio.run(failing.acompress_documents(documents, query, callbacks=[later]))
    assert later.names == ["ctxzip.compression", "ctxzip.fallback"]
    diary.lines.clear()
    strict = CtxzipCompressor(compressor=throwing, on_error="raise")
    with pytest.raises(ctxzip.ModelError):
        strict.compress_documents(documents, query, callbacks=[diary])
    assert diary.lines[-1] == ("error", "ModelError")


@pytest.fixture
def store(documents: list[Document]) -> InMemoryVectorStore:
    found = InMemoryVectorStore(DeterministicFakeEmbedding(size=32))
    found.add_documents(documents)
    return found


def test_it_works_behind_a_retriever(store: InMemoryVectorStore, query: str) -> None:
    retriever = ContextualCompressionRetriever(
        base_compressor=CtxzipCompressor(target_tokens=60),
        base_retriever=store.as_retriever(search_kwargs={"k": 3}),
    )
    diary = Diary()
    found = retriever.invoke(query, config={"callbacks": [diary]})
    assert any("replaced on 12 March 2021" in d.page_content for d in found)
    assert diary.lines[0] == ("start", "CtxzipCompressor", True)
    assert asyncio.run(retriever.ainvoke(query)) == found
    whole = "".join(
        d.page_content for d in store.as_retriever(search_kwargs={"k": 3}).invoke(query)
    )
    assert len("".join(d.page_content for d in found)) < len(whole)
    assert all("ctxzip" not in d.metadata for d in store.similarity_search(query, k=3))


def test_it_works_in_a_pipeline(store: InMemoryVectorStore, query: str) -> None:
    pipeline = DocumentCompressorPipeline(
        transformers=[
            CtxzipTransformer(ratio=0.9, provenance="dict"),
            CtxzipCompressor(target_tokens=50),
        ]
    )
    documents = store.similarity_search(query, k=3)
    found = pipeline.compress_documents(documents, query)
    assert asyncio.run(pipeline.acompress_documents(documents, query)) == found
    whole = {d.id: d.page_content for d in documents}
    for one in found:
        assert cut(whole[one.id], one.metadata["ctxzip"]["spans"]) == one.page_content


def test_it_can_be_pickled_copied_and_written_as_json(
    documents: list[Document], query: str
) -> None:
    compressor = CtxzipCompressor(
        ratio=0.5, options=ctxzip.Options(protect=["Nobody"]), budget_scope="each"
    )
    expected = compressor.compress_documents(documents, query)
    written = dumps(compressor)
    others = [
        pickle.loads(pickle.dumps(compressor)),
        copy.deepcopy(compressor),
        loads(written, allowed_objects=[CtxzipCompressor], valid_namespaces=["langchain_ctxzip"]),
        CtxzipCompressor(**compressor.model_dump()),
    ]
    for other in others:
        assert other == compressor
        assert other.compress_documents(documents, query) == expected
    assert "not_implemented" not in written


def test_a_compressor_object_is_written_as_its_name(throwing: Any) -> None:
    assert '"compressor": "throwing"' in dumps(CtxzipCompressor(compressor=throwing))


def test_concurrent_calls_give_what_calls_one_after_another_give(
    documents: list[Document], query: str
) -> None:
    compressor = CtxzipCompressor(target_tokens=30)
    questions = [f"{query} Number {i}?" for i in range(16)]

    async def main() -> list[list[Document]]:
        calls = (compressor.acompress_documents(documents, q) for q in questions)
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [compressor.compress_documents(documents, q) for q in questions]


def test_the_transformer_works_without_a_question(documents: list[Document]) -> None:
    before = copy.deepcopy(documents)
    transformer = CtxzipTransformer(ratio=0.5)
    found = transformer.transform_documents(documents)
    assert asyncio.run(transformer.atransform_documents(documents)) == found
    assert documents == before
    for one, given in zip(found, documents, strict=True):
        entry = json.loads(one.metadata["ctxzip"])
        assert entry["tokens_after"] <= entry["tokens_before"] / 2
        assert cut(given.page_content, entry["spans"]) == one.page_content
    assert pickle.loads(pickle.dumps(transformer)) == transformer

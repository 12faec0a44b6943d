"""Retrieved nodes come out shorter, traceable, and otherwise as they were."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    LlamaDebugHandler,
)
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import (
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.postprocessor.ctxzip import (
    CtxzipEndEvent,
    CtxzipFallbackEvent,
    CtxzipPostprocessor,
    CtxzipTransform,
)
from pydantic import ValidationError

import ctxzip
from ctxzip import Budget, Compression, CompressionEvent, ModelError, Request

TEXTS = (
    "The north pump failed on Monday evening. It was replaced on 12 March 2021 by the night crew. "
    "Nobody was hurt. The sky was blue over the harbour that week.",
    "The harbour café sells bread. Cheese is sold on Fridays. Prices rise every year. "
    "The owner has two dogs and a boat.",
    "Invoice 4711 covers the pump. It was paid in April. The bank charged nothing. "
    "The clerk filed it under repairs.",
)
QUERY = "When was the north pump replaced?"


class Throwing:
    name = "throwing"

    def compress(
        self, documents: Sequence[ctxzip.Document], *, query: str | None = None, budget: Budget
    ) -> Compression:
        raise ModelError("The model is damaged.")

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        raise ModelError("The model is damaged.")

    def warmup(self) -> None: ...

    def close(self) -> None: ...


class Hanging(Throwing):
    name = "hanging"

    def __init__(self) -> None:
        self.go = threading.Event()

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        self.go.wait(20)
        return super().compress_many(requests)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    one = Hanging()
    yield one
    one.go.set()


@pytest.fixture
def nodes() -> list[NodeWithScore]:
    source = RelatedNodeInfo(node_id="handbook")
    found = []
    for i, text in enumerate(TEXTS):
        node = TextNode(
            text=text,
            id_=f"n{i}",
            metadata={"file": f"{i}.md"},
            excluded_llm_metadata_keys=["file"],
            start_char_idx=1000 * i,
            end_char_idx=1000 * i + len(text),
            relationships={NodeRelationship.SOURCE: source},
            embedding=[0.5, float(i)] * 4,
        )
        found.append(NodeWithScore(node=node, score=0.9 - i / 10))
    return found


def cut(text: str, spans: list[list[int]], offset: int = 0) -> str:
    return "".join(text[a - offset : b - offset] for a, b in spans)


def run(processor: CtxzipPostprocessor, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
    found = processor.postprocess_nodes(nodes, query_str=QUERY)
    assert asyncio.run(processor.apostprocess_nodes(nodes, query_str=QUERY)) == found
    return found


def test_nodes_are_shortened_and_can_be_traced(nodes: list[NodeWithScore]) -> None:
    before = copy.deepcopy(nodes)
    found = run(CtxzipPostprocessor(ratio=0.6), nodes)
    assert nodes == before
    assert "replaced on 12 March 2021" in found[0].node.get_content()
    given = {one.node_id: one for one in nodes}
    for one in found:
        old = given[one.node_id]
        assert one.score == old.score
        assert one.node.relationships == old.node.relationships
        assert one.node.relationships is not old.node.relationships
        assert one.node.embedding == old.node.embedding
        entry = one.metadata["ctxzip"]
        assert one.metadata == {**old.metadata, "ctxzip": entry}
        offset = old.node.start_char_idx
        assert cut(old.text, entry["spans"], offset) == one.text
        assert entry["tokens_after"] <= entry["tokens_before"]
        json.dumps(one.metadata)
    assert [one.node_id for one in found] == sorted(one.node_id for one in found)


def test_it_gives_what_ctxzip_gives(nodes: list[NodeWithScore]) -> None:
    found = run(CtxzipPostprocessor(target_tokens=40), nodes)
    direct = ctxzip.compress(list(TEXTS), query=QUERY, target_tokens=40)
    assert [one.text for one in found] == [d.text for d in direct.documents if d.text]
    each = run(CtxzipPostprocessor(target_tokens=25, budget_scope="each"), nodes)
    assert len(each) == 3
    assert all(0 < one.metadata["ctxzip"]["tokens_after"] <= 25 for one in each)


def test_provenance_is_hidden_from_llm_and_embedding(nodes: list[NodeWithScore]) -> None:
    found = run(CtxzipPostprocessor(ratio=0.6), nodes)[0]
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert "ctxzip" not in found.node.get_content(mode)
    assert found.node.excluded_llm_metadata_keys == ["file", "ctxzip"]
    assert nodes[0].node.excluded_llm_metadata_keys == ["file"]
    plain = run(CtxzipPostprocessor(ratio=0.6, provenance=None), nodes)[0]
    assert plain.metadata == nodes[0].metadata
    text = run(CtxzipPostprocessor(ratio=0.6, provenance="json"), nodes)[0]
    assert json.loads(text.metadata["ctxzip"]) == found.metadata["ctxzip"]


def test_vanished_nodes_are_dropped_or_kept_empty(nodes: list[NodeWithScore]) -> None:
    kept = run(CtxzipPostprocessor(target_tokens=20, drop_empty=False), nodes)
    dropped = run(CtxzipPostprocessor(target_tokens=20), nodes)
    assert [one.node_id for one in kept] == ["n0", "n1", "n2"]
    assert [one.node_id for one in dropped] == [one.node_id for one in kept if one.text]
    assert len(dropped) < 3


def test_every_kind_of_node_is_handled() -> None:
    text = TEXTS[0]
    image = NodeWithScore(node=ImageNode(image_url="https://example.org/x.png"), score=0.5)
    media = Node(
        text_resource=MediaResource(text=text, mimetype="text/markdown"),
        image_resource=MediaResource(url="https://example.org/y.png"),
    )
    kinds = [
        TextNode(text=text),
        ImageNode(text=text, image_url="https://example.org/z.png"),
        IndexNode(text=text, index_id="i7", obj=None),
        Document(text=text, id_="doc"),
        media,
    ]
    bare = TextNode.model_construct(**{**TextNode(text=text).__dict__, "metadata": None})
    huge = TextNode(text=text, metadata={"blob": "x" * 10_000_000})
    given = [image, *(NodeWithScore(node=node) for node in [*kinds, bare, huge])]
    before = copy.deepcopy(given)
    found = run(CtxzipPostprocessor(ratio=0.6, budget_scope="each"), given)
    assert given == before
    assert found[0] is image
    assert [type(one.node) for one in found] == [type(one.node) for one in given]
    assert all(0 < len(one.node.get_content()) < len(text) for one in found[1:])
    assert found[3].node.index_id == "i7"
    assert found[5].node.text_resource.mimetype == "text/markdown"
    assert found[5].node.image_resource == media.image_resource
    assert found[-1].metadata["blob"] is huge.metadata["blob"]


def test_no_nodes_no_query(nodes: list[NodeWithScore]) -> None:
    processor = CtxzipPostprocessor(ratio=0.6)
    assert processor.postprocess_nodes([]) == []
    assert asyncio.run(processor.apostprocess_nodes([], query_str=QUERY)) == []
    found = processor.postprocess_nodes(nodes)
    assert sum(one.metadata["ctxzip"]["tokens_after"] for one in found) > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ratio": 0.5, "target_tokens": 9}, "Two ceilings"),
        ({"ratio": -1}, "not a positive number"),
        ({"compressor": "lexcial"}, "Nearest: lexical"),
        ({"timeout": 0}, "timeout"),
        ({"ratios": 0.5}, "ratios"),
        ({"compressor": 3}, "compressor"),
    ],
)
def test_wrong_settings_are_refused_at_once(fields: dict[str, Any], message: str) -> None:
    for component in (CtxzipPostprocessor, CtxzipTransform):
        with pytest.raises(ValidationError, match=message):
            component(**fields)


class Diary(BaseEventHandler):
    events: list[Any] = []  # noqa: RUF012  # a pydantic field

    @classmethod
    def class_name(cls) -> str:
        return "Diary"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.events.append(event)


@pytest.fixture
def diary() -> Iterator[Diary]:
    root = get_dispatcher()
    one = Diary(events=[])
    root.add_event_handler(one)
    yield one
    root.event_handlers.remove(one)


def test_a_failing_compressor_is_replaced_under_the_ceiling(
    nodes: list[NodeWithScore], hanging: Hanging, diary: Diary
) -> None:
    for compressor, kind, timeout in ((Throwing(), "error", 20), (hanging, "timeout", 0.1)):
        processor = CtxzipPostprocessor(compressor=compressor, target_tokens=40, timeout=timeout)
        found = run(processor, nodes)
        assert sum(one.metadata["ctxzip"]["tokens_after"] for one in found) <= 40
        assert found[0].metadata["ctxzip"]["compressor"] == "lexical"
        assert "Error: " in found[0].metadata["ctxzip"]["fallback"]
        kinds = [e.kind for e in diary.events if isinstance(e, CtxzipFallbackEvent)]
        assert kinds == [kind] * 2
        diary.events.clear()
    originals = CtxzipPostprocessor(compressor=Throwing(), threshold=0.5)
    assert [one.text for one in run(originals, nodes)] == list(TEXTS)
    strict = CtxzipPostprocessor(compressor=Throwing(), on_error="raise")
    with pytest.raises(ModelError, match="damaged"):
        strict.postprocess_nodes(nodes, query_str=QUERY)


def test_hooks_events_and_spans_tell_of_the_step(nodes: list[NodeWithScore], diary: Diary) -> None:
    seen: list[CompressionEvent] = []
    debug = LlamaDebugHandler(print_trace_on_end=False)
    processor = CtxzipPostprocessor(
        ratio=0.5, on_event=seen.append, callback_manager=CallbackManager([debug])
    )
    for call in ("postprocess", "apostprocess"):
        spans = SimpleSpanHandler()
        get_dispatcher().add_span_handler(spans)
        if call == "postprocess":
            found = processor.postprocess_nodes(nodes, query_str=QUERY)
        else:
            found = asyncio.run(processor.apostprocess_nodes(nodes, query_str=QUERY))
        get_dispatcher().span_handlers.remove(spans)
        (event,) = [e for e in diary.events if isinstance(e, CtxzipEndEvent)]
        diary.events.clear()
        assert event.numbers["documents"] == 3
        assert event.numbers["tokens_after"] == seen[0].tokens_after < seen[0].tokens_before
        assert [span.id_ for span in spans.completed_spans] == [event.span_id]
        assert "CtxzipPostprocessor" in (event.span_id or "")
        start, end = debug.get_event_pairs(CBEventType.RERANKING)[-1]
        assert start.payload[EventPayload.QUERY_STR] == QUERY
        assert end.payload[EventPayload.NODES] == found


class Reader(MockLLM):
    """A local reader: repeats what it was sent, and notes it."""

    sent: list[str] = []  # noqa: RUF012  # a pydantic field

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.sent.append(prompt)
        return CompletionResponse(text="12 March 2021")


def test_it_works_in_a_query_engine(nodes: list[NodeWithScore]) -> None:
    index = VectorStoreIndex([one.node for one in nodes], embed_model=MockEmbedding(embed_dim=8))
    retriever = index.as_retriever(similarity_top_k=3)
    reader = Reader()
    engine = RetrieverQueryEngine.from_args(
        retriever, llm=reader, node_postprocessors=[CtxzipPostprocessor(target_tokens=40)]
    )
    for answer in (engine.query(QUERY), asyncio.run(engine.aquery(QUERY))):
        assert str(answer) == "12 March 2021"
        assert all(one.metadata["ctxzip"]["spans"] for one in answer.source_nodes)
        assert sum(one.metadata["ctxzip"]["tokens_after"] for one in answer.source_nodes) <= 40
    prompt = reader.sent[0]
    assert "replaced on 12 March 2021" in prompt
    assert "ctxzip" not in prompt
    assert "two dogs" not in prompt
    stored = index.docstore.docs.values()
    assert all("ctxzip" not in node.metadata for node in stored)


def test_it_works_in_an_ingestion_pipeline(nodes: list[NodeWithScore]) -> None:
    whole = " ".join(TEXTS)
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(chunk_size=40, chunk_overlap=0, include_metadata=False),
            CtxzipTransform(ratio=0.7),
            MockEmbedding(embed_dim=8),
        ]
    )
    documents = [Document(text=whole, id_="handbook")]
    found = pipeline.run(documents=documents)
    again = asyncio.run(pipeline.arun(documents=documents))
    assert [node.get_content() for node in again] == [node.get_content() for node in found]
    assert len(found) > 1
    for node in found:
        entry = json.loads(node.metadata["ctxzip"])
        assert cut(whole, entry["spans"]) == node.get_content()
        assert node.ref_doc_id == "handbook"
        assert len(node.get_embedding()) == 8
    processor = CtxzipPostprocessor(ratio=0.6)
    for one in processor.postprocess_nodes([NodeWithScore(node=n) for n in found]):
        assert cut(whole, one.metadata["ctxzip"]["spans"]) == one.text


def test_a_transform_leaves_its_nodes_alone(nodes: list[NodeWithScore]) -> None:
    given = [one.node for one in nodes]
    before = copy.deepcopy(given)
    found = CtxzipTransform(ratio=0.6)(given)
    assert given == before
    assert [node.id_ for node in found] == ["n0", "n1", "n2"]
    assert CtxzipTransform()([]) == []


def test_it_can_be_pickled_copied_and_written_as_json(
    nodes: list[NodeWithScore], caplog: pytest.LogCaptureFixture
) -> None:
    options = ctxzip.Options(protect=["Nobody"])
    processor = CtxzipPostprocessor(ratio=0.5, options=options, budget_scope="each")
    expected = run(processor, nodes)
    for other in (
        pickle.loads(pickle.dumps(processor)),
        copy.deepcopy(processor),
        CtxzipPostprocessor.from_dict(processor.to_dict()),
        CtxzipPostprocessor.from_json(processor.to_json()),
    ):
        assert other.options == options
        assert run(other, nodes) == expected
    assert "unpickleable" not in caplog.text
    transform = CtxzipTransform(ratio=0.5)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert CtxzipTransform.from_dict(transform.to_dict()) == transform
    assert CtxzipTransform(compressor=Throwing()).to_dict()["compressor"] == "throwing"
    assert processor.to_dict()["class_name"] == "CtxzipPostprocessor"


def test_concurrent_calls_give_what_calls_one_after_another_give(
    nodes: list[NodeWithScore],
) -> None:
    processor = CtxzipPostprocessor(target_tokens=30)
    questions = [f"{QUERY} Number {i}?" for i in range(16)]

    async def main() -> list[list[NodeWithScore]]:
        calls = (processor.apostprocess_nodes(nodes, query_str=q) for q in questions)
        return await asyncio.gather(*calls)

    one_by_one = [processor.postprocess_nodes(nodes, query_str=q) for q in questions]
    assert asyncio.run(main()) == one_by_one

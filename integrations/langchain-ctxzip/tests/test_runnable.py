"""As a step of a chain: the same comes out that went in, shorter."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue, ImagePromptValue, StringPromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_ctxzip import CtxzipCompressor, CtxzipRunnable

from ctxzip import InputError


def test_a_mapping_keeps_its_other_keys(documents: list[Document], query: str) -> None:
    step = CtxzipCompressor(target_tokens=40).as_runnable()
    given = {"documents": documents, "query": query, "user": 7}
    found = step.invoke(given)
    assert found["user"] == 7
    assert found["query"] == query
    expected = CtxzipCompressor(target_tokens=40).compress_documents(documents, query)
    assert found["documents"] == expected
    assert given["documents"] is documents
    assert asyncio.run(step.ainvoke(given)) == found
    assert step.batch([given, given]) == [found, found]


def test_in_a_chain_with_other_names(documents: list[Document], query: str) -> None:
    step = CtxzipCompressor(target_tokens=40).as_runnable("context", "question")
    join = RunnableLambda(lambda x: "\n\n".join(d.page_content for d in x["context"]))
    found = (step | join).invoke({"context": documents, "question": query})
    assert "12 March 2021" in found
    assert step.invoke({"context": None}) == {"context": []}


def test_a_chain_reports_the_step(documents: list[Document], query: str) -> None:
    step = CtxzipCompressor(target_tokens=40).as_runnable()

    async def names() -> list[str]:
        stream = step.astream_events({"documents": documents, "query": query}, version="v2")
        return [f"{event['event']} {event['name']}" async for event in stream]

    found = asyncio.run(names())
    assert "on_chain_start CtxzipCompressor" in found
    assert "on_custom_event ctxzip.compression" in found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("text", "neither a prompt value nor a mapping"),
        ({"docs": []}, r"\['docs'\]"),
        ({"documents": ["text"]}, "Document 0 is str"),
        ({"documents": [], "query": 7}, "'query' is int"),
        (ImagePromptValue(image_url={"url": "x"}), "ImagePromptValue"),
    ],
)
def test_other_inputs_are_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CtxzipCompressor().as_runnable().invoke(given)


def test_a_string_prompt_becomes_shorter(documents: list[Document]) -> None:
    step = CtxzipCompressor(ratio=0.5).as_runnable()
    prompt = StringPromptValue(text=" ".join(d.page_content for d in documents))
    found = step.invoke(prompt)
    assert isinstance(found, StringPromptValue)
    assert 0 < len(found.text) < len(prompt.text)
    assert asyncio.run(step.ainvoke(prompt)) == found


def test_a_chat_prompt_keeps_its_structure(documents: list[Document], query: str) -> None:
    long = " ".join(d.page_content for d in documents) * 3
    call = {"name": "search", "args": {"q": "pump"}, "id": "c1"}
    prompt = ChatPromptValue(
        messages=[
            SystemMessage("Answer in one line. Never guess."),
            HumanMessage("Look it up."),
            AIMessage("", tool_calls=[call]),
            ToolMessage(long, tool_call_id="c1"),
            HumanMessage(query),
        ]
    )
    found = CtxzipCompressor(target_tokens=150).as_runnable().invoke(prompt)
    assert [type(m) for m in found.messages] == [type(m) for m in prompt.messages]
    assert found.messages[0] == prompt.messages[0]
    assert found.messages[2] == prompt.messages[2]
    assert found.messages[4] == prompt.messages[4]
    assert 0 < len(found.messages[3].content) < len(long)
    assert "12 March 2021" in found.messages[3].content
    assert found.messages[3].tool_call_id == "c1"
    assert prompt.messages[3].content == long


def test_behind_a_prompt_template(query: str, documents: list[Document]) -> None:
    template = ChatPromptTemplate.from_messages(
        [("system", "Be brief."), ("human", "{context}"), ("human", "{question}")]
    )
    chain = template | CtxzipCompressor(target_tokens=60).as_runnable()
    context = " ".join(d.page_content for d in documents)
    found = chain.invoke({"context": context, "question": query})
    assert found.messages[-1].content == query
    assert len(found.messages[1].content) < len(context)


def test_it_can_be_pickled_and_written_as_json(documents: list[Document], query: str) -> None:
    step = CtxzipCompressor(target_tokens=40).as_runnable("context")
    allowed = [CtxzipRunnable, CtxzipCompressor]
    given = {"context": documents, "query": query}
    for other in (
        pickle.loads(pickle.dumps(step)),
        loads(dumps(step), allowed_objects=allowed, valid_namespaces=["langchain_ctxzip"]),
    ):
        assert other == step
        assert other.invoke(given) == step.invoke(given)

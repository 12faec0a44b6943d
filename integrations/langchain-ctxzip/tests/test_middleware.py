"""Agents send their model less and remember everything."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool
from langchain_ctxzip import CtxzipMiddleware

from ctxzip import BudgetError, Guard, InputError, Options, load


class Model(GenericFakeChatModel):
    """Says its lines and notes what it was sent."""

    sent: list[list[BaseMessage]] = []  # noqa: RUF012  # a pydantic field

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.sent.append(messages)
        return super()._generate(messages, *args, **kwargs)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


LONG = " ".join(
    f"Pump {i} stands in hall {i % 7}. It was serviced on {i % 28 + 1} May by crew {i % 5}."
    for i in range(120)
)


@tool
def search(query: str) -> str:
    """Search the log."""
    return LONG + " The north pump was replaced on 12 March 2021."


def model() -> Model:
    call = {"name": "search", "args": {"query": "north pump"}, "id": "c1"}
    return Model(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("12 March")]), sent=[])


def test_the_model_gets_a_short_tool_result_and_the_state_the_whole(query: str) -> None:
    for run in ("invoke", "ainvoke"):
        fake = model()
        agent = create_agent(
            fake,
            [search],
            system_prompt="Answer in one line. " * 10,
            middleware=[CtxzipMiddleware(tool_tokens=60)],
        )
        given = {"messages": [HumanMessage(query)]}
        state = agent.invoke(given) if run == "invoke" else asyncio.run(agent.ainvoke(given))
        system, human, calling, result = fake.sent[1]
        assert system.content == "Answer in one line. " * 10
        assert human.content == query
        assert isinstance(calling, AIMessage)
        assert calling.tool_calls[0]["args"] == {"query": "north pump"}
        assert isinstance(result, ToolMessage)
        assert "12 March 2021" in result.content
        assert result.tool_call_id == "c1"
        assert result.response_metadata["ctxzip"]["tokens_after"] <= 60
        whole = state["messages"][2]
        assert whole.content.startswith(LONG)
        assert "ctxzip" not in whole.response_metadata


def shorten(middleware: CtxzipMiddleware, messages: list[Any], system: str | None = None) -> Any:
    from langchain.agents.middleware.types import ModelRequest, ModelResponse

    seen: list[Any] = []

    def handler(request: ModelRequest[Any]) -> ModelResponse[Any]:
        seen.append(request.messages)
        return ModelResponse(result=[AIMessage("done")])

    message = SystemMessage(system) if system is not None else None
    request = ModelRequest(model=model(), messages=messages, system_message=message)
    middleware.wrap_model_call(request, handler)
    return seen[0]


def turn(i: int, result: Any, name: str = "search") -> list[BaseMessage]:
    call = {"name": name, "args": {"query": "pumps"}, "id": f"c{i}"}
    return [
        HumanMessage(f"What of pump {i}?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage(result, tool_call_id=f"c{i}"),
    ]


def test_a_result_is_shortened_to_the_same_text_in_every_turn() -> None:
    middleware = CtxzipMiddleware(tool_tokens=50, compressor="lexical")
    first = shorten(middleware, turn(3, LONG))
    second = shorten(middleware, [*turn(3, LONG), AIMessage("So."), *turn(9, LONG)])
    again = CtxzipMiddleware(tool_tokens=50, compressor="lexical")
    third = shorten(again, [*turn(3, LONG), *turn(9, LONG)])
    assert second[:3] == first == third[:3]
    assert "Pump 3 " in first[2].content
    assert "Pump 9 " in second[-1].content


def test_parts_that_are_not_text_stay_and_short_results_too() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": LONG, "note": 1}, image, "plain " + LONG]
    messages = [*turn(1, parts), *turn(2, "Nothing found.")]
    found = shorten(CtxzipMiddleware(tool_tokens=80), messages)
    text, kept, plain = found[2].content
    assert kept == image
    assert text["note"] == 1
    assert len(text["text"]) + len(plain) < 1000
    assert found[5] is messages[5]
    assert messages[2].content == parts


def test_json_stays_json() -> None:
    rows = [{"id": i, "note": f"Pump {i} was serviced on {i} May."} for i in range(60)]
    found = shorten(CtxzipMiddleware(tool_tokens=120), turn(7, json.dumps({"rows": rows})))
    assert len(found[2].content) < 1000
    assert json.loads(found[2].content)


def test_named_tools_are_left_whole() -> None:
    messages = turn(1, LONG, "read_file")
    assert shorten(CtxzipMiddleware(exclude_tools=["read_file"]), messages) == messages
    assert shorten(CtxzipMiddleware(tool_tokens=None), messages) == messages
    assert shorten(CtxzipMiddleware(), []) == []


def test_long_conversations_come_under_the_ceiling() -> None:
    old = [HumanMessage(LONG), AIMessage("Noted. " + LONG)]
    messages = [*old, *turn(1, LONG), HumanMessage("What of pump 3?")]
    middleware = CtxzipMiddleware(tool_tokens=200, target_tokens=400)
    found = shorten(middleware, messages, "Be brief.")
    count = sum(len(m.content.encode()) for m in found) / 4
    assert count < 600
    assert found[-1] == messages[-1]
    assert found[3].tool_calls == messages[3].tool_calls
    assert all(m.content for m in found if m.type != "ai")
    with pytest.raises(BudgetError, match="ceiling"):
        shorten(middleware, messages, "Be brief. " * 300)


def test_a_guard_or_a_compressor_of_ones_own(throwing: Any) -> None:
    guard = Guard(throwing, timeout=1)
    found = shorten(CtxzipMiddleware(tool_tokens=50, compressor=guard), turn(3, LONG))
    entry = found[2].response_metadata["ctxzip"]
    assert entry["compressor"] == "lexical"
    assert "damaged" in entry["fallback"]
    own = load("lexical", options=Options(protect=["crew 4"]))
    found = shorten(CtxzipMiddleware(tool_tokens=2000, compressor=own), turn(3, LONG * 3))
    assert found[2].content.count("crew 4") == LONG.count("crew 4") * 3


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_tokens": 0},
        {"target_tokens": 0.5},
        {"exclude_tools": "search"},
        {"compressor": "no-such"},
    ],
)
def test_wrong_settings_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        CtxzipMiddleware(**fields)


def test_without_langchain_it_says_what_to_install(documents: list[Document]) -> None:
    code = (
        "import sys; sys.modules['langchain'] = None\n"
        "import langchain_ctxzip\n"
        "try: langchain_ctxzip.CtxzipMiddleware\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "langchain-ctxzip[agents]"' in done.stdout

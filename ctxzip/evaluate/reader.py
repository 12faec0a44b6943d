"""An LLM that answers from the full and from the compressed text."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ctxzip.backends.chat import Chat, ChatClient, ChatError
from ctxzip.errors import InputError
from ctxzip.evaluate.cases import FULL, Case, Progress, full_text
from ctxzip.evaluate.metrics import exact_match, f1
from ctxzip.evaluate.records import Record
from ctxzip.evaluate.store import Store, files, key
from ctxzip.kit.once import Once
from ctxzip.text.tokens import TokenCounter

if TYPE_CHECKING:
    from ctxzip.backends.torch.chat import ChatModel

__all__ = ["PROMPT", "EndpointReader", "LocalReader", "Prices", "Reader", "Reply", "read_all"]

PROMPT = """\
Answer the question from the context alone, in as few words as possible and without a sentence \
around them. If the context does not answer it, write: unknown.

Context:
{context}

Question: {question}
Answer:"""
_FIELDS = re.compile(r"(\{context\}|\{question\})")
GIVE_UP = 20  # failures in a row, without one answer, after which the endpoint is asked no more
_SAVED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the tokens that it cost where the reader counts them."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class Prices:
    """What is paid, in any currency.

    Attributes:
        prompt: for a million tokens that the reader reads.
        completion: for a million tokens that it writes.
        hour: for an hour of the machine that compresses.
    """

    prompt: float = 0.0
    completion: float = 0.0
    hour: float = 0.0

    def of(self, prompt: int, completion: int, seconds: float) -> float:
        """The cost of one question, the compressor's time included."""
        tokens = (prompt * self.prompt + completion * self.completion) / 1e6
        return tokens + seconds * self.hour / 3600


class Reader(Protocol):
    """Answers prompts."""

    @property
    def name(self) -> str:
        """As it is shown."""
        ...

    @property
    def identity(self) -> str:
        """What its answers depend on, beside the prompt."""
        ...

    def read(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | Exception]]:
        """Index and answer of every prompt, or why there is none, as they come."""
        ...


class EndpointReader:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        settings: where it is, and how patient to be.
    """

    def __init__(self, settings: Chat) -> None:
        self._client = ChatClient(settings, "The reader")
        url, model = self._client.endpoint()
        self._settings = settings
        self.name = f"{model} at {url.removesuffix('/chat/completions')}"
        self.identity = key("endpoint", url, model, settings.max_tokens)

    def read(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | Exception]]:
        """See :class:`Reader`. Gives up on an endpoint that never answers."""
        failures, answered = 0, False
        stop = threading.Event()
        for i, found in _at_once(self._one, prompts, self._settings.parallel, stop):
            answered = answered or isinstance(found, Reply)
            failures += isinstance(found, Exception)
            if failures >= GIVE_UP and not answered and not stop.is_set():
                stop.set()
            yield i, found

    def _one(self, prompt: str) -> Reply:
        done = self._client.complete(
            [{"role": "user", "content": prompt}], self._settings.max_tokens
        )
        return Reply(done.text, done.prompt_tokens, done.completion_tokens)


def _at_once(
    work: Callable[[str], Reply], prompts: Sequence[str], threads: int, stop: threading.Event
) -> Iterator[tuple[int, Reply | Exception]]:
    """Results as they come. Daemon threads: whoever presses Ctrl-C waits for no slow endpoint."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Reply | Exception]] = queue.SimpleQueue()
    for i in range(len(prompts)):
        waiting.put(i)

    def run() -> None:
        while True:
            try:
                i = waiting.get_nowait()
            except queue.Empty:
                return
            if stop.is_set():
                done.put((i, ChatError("not asked: the endpoint failed every time before")))
                continue
            try:
                done.put((i, work(prompts[i])))
            except Exception as error:  # handed to the consumer, who knows which are expected
                done.put((i, error))

    for _ in range(min(threads, len(prompts))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for _ in prompts:
            i, found = done.get()
            if isinstance(found, Exception) and not isinstance(found, ChatError):
                raise found
            yield i, found
    finally:
        stop.set()


class LocalReader:
    """A Hugging Face model on this machine.

    Args:
        name: a folder, a ``.gguf`` file, or a hub name.
        device: see :func:`ctxzip.load`.
        max_tokens: most tokens of an answer.
    """

    def __init__(self, name: str, *, device: str = "auto", max_tokens: int = 64) -> None:
        from ctxzip.kit.extras import require

        require("torch")
        require("transformers")
        self.name = name
        self.identity = key("local", name, files(name), max_tokens)
        self._max_tokens = max_tokens
        self._model = Once(lambda: _chat_model(name, device))

    def read(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | Exception]]:
        """See :class:`Reader`. The model is loaded with the first prompt."""
        if prompts:
            for i, found in self._model().answer(prompts, self._max_tokens):
                yield i, found if isinstance(found, Exception) else Reply(*found)


def _chat_model(name: str, device: str) -> ChatModel:
    from ctxzip.backends.torch.chat import ChatModel
    from ctxzip.backends.torch.loading import Placement

    return ChatModel(name, Placement(device, download=True))  # naming it is asking for it


def read_all(
    records: Sequence[Record],
    cases: Sequence[Case],
    reader: Reader,
    store: Store,
    progress: Progress,
    *,
    prompt: str = PROMPT,
) -> dict[str, Reply]:
    """Ask the reader about every case, those of the full text among them.

    Each case gets its answer, or the reason why there is none; failures are not remembered, so the
    next run asks again.

    Returns:
        The replies, by prompt.
    """
    asked = {
        id(case): filled(prompt, records[case.record], case)
        for case in cases
        if case.arm == FULL or case.kept is not None
    }
    prompts = list(dict.fromkeys(asked.values()))
    names = [key("answer", reader.identity, text) for text in prompts]
    known = store.get(names)
    replies = {
        text: Reply(*known[name])
        for text, name in zip(prompts, names, strict=True)
        if name in known
    }
    todo = {text: name for text, name in zip(prompts, names, strict=True) if text not in replies}
    progress("reader", len(replies), len(prompts))
    failed: dict[str, str] = {}
    with closing(_answers(reader, todo, store)) as answers:
        for text, found in answers:
            if isinstance(found, Exception):
                failed[text] = str(found)
            else:
                replies[text] = found
            progress("reader", len(replies) + len(failed), len(prompts))
    for case in cases:
        text = asked.get(id(case), "")
        if text in replies:
            case.answer = replies[text].text
        elif text:
            case.failed = failed[text]
    _judge(records, cases)
    return {asked[id(case)]: replies[asked[id(case)]] for case in cases if case.answer is not None}


def _answers(
    reader: Reader, todo: dict[str, str], store: Store
) -> Generator[tuple[str, Reply | Exception], None, None]:
    """What the reader says to prompts, as it comes; answers are stored under their names."""
    prompts = list(todo)
    fresh: dict[str, object] = {}
    try:
        for i, found in reader.read(prompts):
            if isinstance(found, Reply):
                tokens = [found.prompt_tokens, found.completion_tokens]
                fresh[todo[prompts[i]]] = [found.text, *tokens]
            if len(fresh) >= _SAVED_AT_ONCE:
                store.put(fresh)
                fresh = {}
            yield prompts[i], found
    finally:  # an interrupted run keeps what it has paid for
        store.put(fresh)


def filled(prompt: str, record: Record, case: Case) -> str:
    """The prompt of a case. Replaced in one go: a context may well hold "{question}"."""
    context = full_text(record) if case.kept is None else case.kept.text
    given = {"{context}": context, "{question}": record.query}
    return "".join(given.get(part, part) for part in _FIELDS.split(prompt))


def check_prompt(prompt: str) -> None:
    """Raise InputError unless the prompt has a place for the context and one for the question."""
    for name in ("{context}", "{question}"):
        if prompt.count(name) != 1:
            raise InputError(f"The prompt holds {name} {prompt.count(name)} times; once is needed.")


def _judge(records: Sequence[Record], cases: Sequence[Case]) -> None:
    full = {case.record: case.answer for case in cases if case.arm == FULL}
    for case in cases:
        if case.answer is None:
            continue
        answers = records[case.record].answers
        if answers:
            case.values["exact_match"] = exact_match(case.answer, answers)
            case.values["f1"] = f1(case.answer, answers)
        whole = full[case.record]
        if whole is not None:
            case.values["agreement"] = f1(case.answer, [whole])


def add_costs(
    records: Sequence[Record],
    cases: Sequence[Case],
    prices: Prices,
    counter: TokenCounter,
    replies: dict[str, Reply] | None = None,
    *,
    prompt: str = PROMPT,
) -> None:
    """Give every case its cost; without a reader that of reading the text alone."""
    for case in cases:
        if case.arm != FULL and case.kept is None:
            continue
        record = records[case.record]
        seconds = case.kept.seconds if case.kept is not None else 0.0
        text = filled(prompt, record, case)
        reply = (replies or {}).get(text)
        if replies is not None and reply is None:
            continue  # a failed case has no cost to compare
        read = reply.prompt_tokens if reply is not None else None
        written = reply.completion_tokens if reply is not None else 0
        if read is None:
            read = counter.count(text)
        if written is None:
            written = counter.count(case.answer or "")
        case.values["cost"] = prices.of(read, written, seconds)

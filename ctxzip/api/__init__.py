"""Every way to call ctxzip, and what whoever builds on it needs: all names here are public."""

from ctxzip.api.arguments import Prompt, budget_of, compressor_of, options_of, request_of
from ctxzip.api.calls import acompress, compress, compress_many
from ctxzip.api.events import CompressionEvent, Hook, event_of, subscribe, trace
from ctxzip.api.guard import CompressionTimeoutError, Guard, OnError, Outcome
from ctxzip.api.labels import word_labels
from ctxzip.api.messages import MessagesCompression, compress_messages
from ctxzip.api.nodes import (
    KEY,
    Answer,
    Form,
    Node,
    Scope,
    acompress_nodes,
    compress_nodes,
    encoded,
)
from ctxzip.api.source_files import Files, read_files

__all__ = [
    "KEY",
    "Answer",
    "CompressionEvent",
    "CompressionTimeoutError",
    "Files",
    "Form",
    "Guard",
    "Hook",
    "MessagesCompression",
    "Node",
    "OnError",
    "Outcome",
    "Prompt",
    "Scope",
    "acompress",
    "acompress_nodes",
    "budget_of",
    "compress",
    "compress_many",
    "compress_messages",
    "compress_nodes",
    "compressor_of",
    "encoded",
    "event_of",
    "options_of",
    "read_files",
    "request_of",
    "subscribe",
    "trace",
    "word_labels",
]

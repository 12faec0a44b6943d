"""ctxzip for LlamaIndex: retrieved nodes under a token budget."""

from llama_index.postprocessor.ctxzip.base import CtxzipPostprocessor
from llama_index.postprocessor.ctxzip.events import CtxzipEndEvent, CtxzipFallbackEvent
from llama_index.postprocessor.ctxzip.transform import CtxzipTransform

__all__ = ["CtxzipEndEvent", "CtxzipFallbackEvent", "CtxzipPostprocessor", "CtxzipTransform"]
__version__ = "0.1.0"

"""A question about the standard library's http package, and the code that answers it.

    python examples/source_code.py                       # no model: words of identifiers
    python examples/source_code.py --model FOLDER        # perplexity of a causal language model

With a model, such as Qwen2.5-Coder-0.5B, functions are ranked by how much they lower the perplexity
of the question (LongCodeZip). ``make weights`` fetches one; on a CPU it takes minutes.
"""

import argparse
import http
from pathlib import Path

import ctxzip

QUESTION = "How does the client read the size of the next chunk of a chunked response?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", help="a folder, a .gguf file or a hub name")
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--tokens", type=int, default=900)
    arguments = parser.parse_args()
    files = ctxzip.read_files(Path(http.__file__).parent)
    if arguments.model is None:
        compressor = "auto"
    else:
        compressor = ctxzip.load(
            "longcodezip",
            model=arguments.model,
            # The model reads what ranks first by its words, four times what may stay.
            settings=ctxzip.LongCodeZip(shortlist=4),
        )
    result = ctxzip.compress(
        files.documents,
        target_tokens=arguments.tokens,
        query=arguments.question,
        compressor=compressor,
    )
    print(result.text)
    print("-" * 80)
    print("Question:", arguments.question)
    print(f"{len(files.documents)} files, {result.tokens_before} -> {result.tokens_after} tokens")
    for line in (*result.path, *result.notes):
        print(line)


if __name__ == "__main__":
    main()

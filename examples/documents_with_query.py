"""What a retriever returned, under a hard ceiling of tokens, and a citation traced back."""

import json
from pathlib import Path

import ctxzip

CEILING = 600

sample = json.loads(Path(__file__).with_name("sample.json").read_text(encoding="utf-8"))
result = ctxzip.compress(
    sample["documents"],
    query=sample["question"],
    target_tokens=CEILING,
    options=ctxzip.Options(titles=True, reserve=50),  # room for the instruction to the LLM
)

print(result.text)
print()
print(f"{result.tokens_before} tokens became {result.tokens_after}; {CEILING - 50} were allowed.")
for document in result.documents:
    spans = "nothing" if not document.kept else f"{len(document.kept)} pieces"
    print(f"  {document.source.id:<15} {spans} kept")

# Where does the text say which probe counts? The answer cites the output; we cite the source.
found = result.text.find("P3 counts")
if found >= 0 and (place := result.locate(found)) is not None:
    index, offset = place
    source = result.documents[index].source
    print(f"\n“P3 counts” stands in {source.id} at character {offset}.")

"""One string in, a shorter one out: without a question, then with one."""

import ctxzip

TEXT = """\
# Moving the archive to cold storage

The archive holds 48 TB of scanned maps. Over the last ten years most of them were opened less
than once, and the fast disks on which they live have to be replaced in any case. We looked at
tape, at a second data centre and at cold object storage. Cold storage won, as it costs 0.9 EUR
per TB and month and needs no machine of our own.

Retrieval takes up to 12 hours. A map that a court has asked for must not wait that long, so the
1,130 maps with a legal hold stay on disk. The move begins on 3 March and takes about five weeks.
During the move nothing is deleted; originals are removed only after the checksums of both copies
have been compared. Please do not rename folders in this time.

Many thanks to everybody who helped to sort the boxes in the cellar, and to Ines for the cake.
"""

half = ctxzip.compress(TEXT)
print(f"No question, {half.tokens_before} → {half.tokens_after} tokens:\n\n{half}\n")

answer = ctxzip.compress(TEXT, 0.3, query="Which maps stay on disk, and why?")
print(f"A question, {answer.tokens_before} → {answer.tokens_after} tokens:\n\n{answer}\n")

# Every character of the output can be traced to the input.
at = answer.text.index("1,130")
print(f"1,130 stands at {at} in the output; (document, offset) in the input: {answer.locate(at)}")

"""What must survive: literals, patterns, spans, and <keep> tags in a prompt of your own."""

import ctxzip

TICKET = """\
Customer: the invoice INV-2024-00731 was paid twice, once on 3 May and once on 6 May.
Agent: I am sorry about that. Let me look into it. The weather here is dreadful today.
Agent: The second payment of 1,284.50 EUR was not booked to your account. It is on hold.
Customer: Will I get it back without writing a letter?
Agent: Yes. It takes 5 working days, and you don't have to do anything. Have a nice weekend!
"""

# Literals and patterns are kept wherever they stand, whatever the budget takes away around them.
options = ctxzip.Options(protect=["on hold"], protect_patterns=[r"INV-\d{4}-\d{5}"])
result = ctxzip.compress(TICKET, 0.4, options=options)
print(f"Kept by literal and pattern, {result.ratio:.0%} of the tokens:\n\n{result}\n")

# In a string that you wrote yourself, tags mark what stays. The tags are removed.
prompt = f"<keep>Answer in one sentence.</keep>\n\n{TICKET}"
result = ctxzip.compress(prompt, 0.4, options=ctxzip.Options(keep_tags=True))
print(f"Kept by tags:\n\n{result}\n")

# A ceiling that the protected text cannot meet is an error that says what it takes.
try:
    ctxzip.compress(TICKET, target_tokens=4, options=options)
except ctxzip.BudgetError as error:
    print(f"Too tight: {error}")
    result = ctxzip.compress(TICKET, target_tokens=error.needed, options=options)
    print(f"With exactly {result.tokens_after} tokens: {result.text!r}")

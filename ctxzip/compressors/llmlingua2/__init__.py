"""LLMLingua-2 exactly as published; ``LLMLingua2(compat=True)`` asks for it."""

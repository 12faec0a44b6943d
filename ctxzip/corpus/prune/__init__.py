"""Dropping rows of a corpus: boilerplate, near-duplicates, empty ones."""

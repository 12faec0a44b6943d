"""One reader per format: text to parts of a tree."""

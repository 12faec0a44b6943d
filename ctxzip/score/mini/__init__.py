"""The shipped model; start reading at ``scorer.py``."""

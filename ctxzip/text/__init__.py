"""Text itself: units and spans, tokens and vocabularies, what is protected."""

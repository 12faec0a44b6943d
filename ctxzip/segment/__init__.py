"""1. Text to units: sentences and markdown blocks, words, the members of JSON documents."""

"""2. How useful is each function, each block. One file a family; the protocol is in ``base``."""

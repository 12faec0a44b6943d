"""2. How useful is each unit. One file a family; the protocol is in ``base``."""

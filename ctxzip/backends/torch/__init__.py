"""Where PyTorch runs checkpoints: the only modules of ctxzip that import it."""

"""1. Source text to a tree: by its grammar, or by indentation where there is none."""

"""Where models run: framework at the edge, NumPy arrays inside."""

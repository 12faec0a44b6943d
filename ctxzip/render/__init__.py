"""4. What was chosen, back to text."""

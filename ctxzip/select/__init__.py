"""3. What stays under the ceiling; start reading at ``selection.py``."""

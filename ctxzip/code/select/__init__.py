"""3. What stays of source code: items, what is cut and how, blocks inside a function."""

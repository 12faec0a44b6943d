"""Small tools that know no text."""

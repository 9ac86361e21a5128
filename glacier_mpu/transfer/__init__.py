"""An upload from its beginning to its end."""

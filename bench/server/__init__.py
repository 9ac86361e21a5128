"""A Glacier that discards what it is sent."""

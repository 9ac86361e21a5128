"""Glacier: its calls, answers and errors, each call retried."""

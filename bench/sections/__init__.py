"""What is measured, a file for each section: each has `run(bench) -> dict`."""

"""Predictions that other programs made, read into runs: one format per file."""

"""Predictions that other programs made, read into runs: a format a file."""

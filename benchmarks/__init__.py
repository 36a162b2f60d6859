"""Benchmarks: one command each, figures to docs/benchmarks/."""

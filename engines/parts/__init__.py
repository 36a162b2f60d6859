"""Facts that engines must agree on: data, splits, batching, scoring, statistics."""

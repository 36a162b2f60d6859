"""What a run reads, looked at before it runs: its data, its model, and whether they fit together."""

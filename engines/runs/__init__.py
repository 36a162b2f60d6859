"""The ground floor: the run folder, its events, states, processes and queue (stdlib and psutil only)."""

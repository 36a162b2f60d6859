"""Everything that runs in a worker process. Never imports `labtui` or Textual."""

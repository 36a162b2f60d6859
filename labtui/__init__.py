"""The console: a Textual app and a command line over run folders."""

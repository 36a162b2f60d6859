"""One engine a file; the file name is the engine's name."""

"""Where a model is, how it is opened, what kind it is, and the tiny ones that ship with the project."""

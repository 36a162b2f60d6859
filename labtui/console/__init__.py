"""The console: a Textual app, its screens and widgets, and the thread that feeds it."""

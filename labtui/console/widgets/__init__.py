"""Widgets: they show state and post messages, and never open files."""

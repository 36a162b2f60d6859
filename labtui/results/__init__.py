"""Finished runs as rows, groups, tables, exports and a report."""

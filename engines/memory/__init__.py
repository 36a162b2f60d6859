"""How much memory a run will need, and what finished runs teach about that."""

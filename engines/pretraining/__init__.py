"""How the shipped tiny models were made; `python -m engines.pretraining NAME` makes one again."""

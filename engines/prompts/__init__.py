"""Asking a language model: wordings, tokens, likelihoods and written answers."""

"""Meaning: pure values and rules; this package has never heard of git."""

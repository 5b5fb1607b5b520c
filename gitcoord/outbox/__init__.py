"""Commands wait here; one process sends them all in one push."""

"""Each coding agent's own words, read into one event and answered in its own form."""

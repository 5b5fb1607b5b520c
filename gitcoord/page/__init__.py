"""The page: what it is made of, and the server that shows it while it changes."""

"""One line for a prompt. The standard library only."""

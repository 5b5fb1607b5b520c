"""The composition root: it builds a Coordinator from real parts."""

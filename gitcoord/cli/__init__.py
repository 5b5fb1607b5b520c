"""The face that is typed."""

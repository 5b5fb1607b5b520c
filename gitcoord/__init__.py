"""Coding sessions coordinate through one orphan branch of the git remote they already share."""

__version__ = "0.1.0"

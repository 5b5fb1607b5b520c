"""Coding agents: what their programs say, the settings that make them say it, and their mail."""

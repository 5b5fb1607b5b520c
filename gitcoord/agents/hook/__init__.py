"""A coding agent runs this at each step of a session. The entry modules load the standard library only."""

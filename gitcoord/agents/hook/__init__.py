"""What a coding agent runs at each step of a session. The entry modules load the standard library only."""

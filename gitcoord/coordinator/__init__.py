"""What a session can do: one class a subject."""

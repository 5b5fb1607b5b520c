"""What doctor looks at, a room a subject."""

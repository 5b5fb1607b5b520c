"""Chat, both ways, by one machine at a time."""

"""What this machine knows, in small files. The standard library only."""

"""What hosts say of their own rules for a branch, asked by their APIs."""

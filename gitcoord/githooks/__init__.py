"""The hooks of git: four ways to put them in, and what they run."""

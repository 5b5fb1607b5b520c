"""The log: events as commits, the one place that knows both meaning and matter."""

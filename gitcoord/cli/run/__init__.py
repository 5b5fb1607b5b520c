"""The command that `run` starts: how it is started, watched and ended."""

"""The face for coding agents: the Model Context Protocol on standard input and output. Has no rule of its own."""

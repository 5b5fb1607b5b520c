"""A process that has the program loaded, and from which commands are forked: they begin without the time that loading takes."""

"""One chat service each, all behind one gate."""

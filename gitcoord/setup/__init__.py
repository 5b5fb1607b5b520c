"""init, install, and doctor with its checks."""

"""Matter: the only package that runs git; it has never heard of a claim."""

"""What coding agents call at each step of a session: `gitcoord hook`, a JSON object in, a JSON object out."""

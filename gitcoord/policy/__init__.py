"""What a server lets onto the branch: asked by its hook before a push is accepted."""

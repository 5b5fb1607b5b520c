"""Pure pictures of the state: the tree on the branch, the board, what needs attention."""

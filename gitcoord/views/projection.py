"""What the log needs of the views: state ↔ files, and the pages for people that every commit carries."""

from __future__ import annotations

from gitcoord.core.state import State
from gitcoord.views import board, tree


class TreeProjection:
    """The functions of `tree` and `board` as one part that can be handed to the log."""

    changes = staticmethod(tree.changes)
    render = staticmethod(tree.render)
    table_of = staticmethod(tree.table_of)
    parse = staticmethod(tree.parse)
    same_meaning = staticmethod(tree.same_meaning)
    load = staticmethod(tree.load)
    is_sound = staticmethod(tree.is_sound)
    replaced = staticmethod(tree.replaced)

    belongs = staticmethod(tree.belongs)

    def page_names(self, *, first: bool) -> tuple[str, ...]:
        """The files for people: the board, and in the first commit what the branch is."""
        return (tree.README, tree.BOARD) if first else (tree.BOARD,)

    def pages(self, state: State, *, first: bool) -> dict[str, bytes]:
        """The board of that state; with the first commit also what the branch is."""
        pages = {tree.BOARD: board.render(state).encode()}
        return {tree.README: tree.README_TEXT.encode(), **pages} if first else pages

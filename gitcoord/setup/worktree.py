"""A session in a work tree of its own: made beside the clone, and left there when the session ends."""

from __future__ import annotations

from pathlib import Path

from gitcoord.connection.connect import Connection
from gitcoord.errors import BadInput
from gitcoord.git import worktree
from gitcoord.git.repo import Repository
from gitcoord.git.worktree import NewWorkTree
from gitcoord.machine import agents, files

_MARK = "made"
_WISH = "work"


def make(found: Connection, branch: str | None) -> NewWorkTree:
    """Make the work tree for that branch; None: for a new one, called after the agent.

    Raises NotInitialised where nobody coordinates, Held where another work tree has the branch.
    """
    found.coordinator.branch.view()
    if branch == found.settings.branch:
        raise BadInput(f"{branch} is the branch of the sessions' record, which is never checked out")
    actor = found.coordinator.actor
    wish = (agents.short_name(actor.agent_name) if actor.agent else "") or _WISH
    made = worktree.add(found.repo, branch or worktree.free_name(found.repo, wish))
    own = files.private_folder(files.own(Repository.find(made.path, found.repo.environ).git_dir))
    files.write(own / _MARK, made.branch.encode())
    return made


def made_here(repo: Repository) -> bool:
    """Return True if the work tree was made by `make`."""
    return bool(repo.work_tree) and (files.own(Path(repo.git_dir)) / _MARK).is_file()

"""Which lines the sessions of this clone have changed: left in the spool in the background, to go along with the next heartbeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.touched import ChangedLines
from gitcoord.errors import GitcoordError
from gitcoord.git import discovery, edits
from gitcoord.git.repo import Repository
from gitcoord.machine import files
from gitcoord.machine.identity import Binding, Identity
from gitcoord.machine.ids import digest
from gitcoord.outbox import spool


def note(coordinator: Coordinator, repo: Repository, attended: Iterable[str]) -> None:
    """Leave in the spool what has changed since it was said last, for the sessions whose hooks called lately (`attended`), and for
    those of whom something waits there.
    """
    wanted = {*attended, *coordinator.parts.outbox.spooled()}
    for git_dir in discovery.git_dirs(repo.common_dir):
        identity = Identity(Path(git_dir))
        found = [binding for binding in identity.all() if binding.session in wanted]
        tree = discovery.work_tree(git_dir) or repo.work_tree if found else ""
        with suppress(GitcoordError, OSError, ValueError):
            changed = _look(coordinator, repo, tree, found[0]) if tree else None
            for binding in found if changed is not None else []:
                _leave(identity, binding, changed)


def looking(repo: Repository, remote: str) -> Callable[[bool], edits.Edits | None]:
    """Return what tells what that work tree has changed, with True only what is staged or committed."""
    return lambda staged: edits.look(repo, remote, staged=staged)


def _look(coordinator: Coordinator, repo: Repository, tree: str, binding: Binding) -> ChangedLines | None:
    there = repo if tree == repo.work_tree else Repository.find(tree, repo.environ)
    found = edits.look(there, coordinator.parts.carriers.where if coordinator.parts.carriers is not None else "")
    actor = replace(coordinator.actor, repo=binding.repo or coordinator.actor.repo)
    return None if found is None else coordinator.acting_as(actor).touched.changed(found)


def _leave(identity: Identity, binding: Binding, changed: ChangedLines | None) -> None:
    """Leave it, unless it is what was left last."""
    if changed is None:
        return
    said = changed.said
    mark = digest([binding.run_id, said["base"], said["commit"], *said["touches"]])
    noted = identity.own / "lines" / f"{binding.session}.json"
    if files.read_json(noted) == mark:
        return
    spool.heartbeat(binding, {"at": spool.stamp(), **said, "touches": list(said["touches"])})
    files.private_folder(noted.parent)
    files.write_json(noted, mark)

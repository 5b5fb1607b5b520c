"""The hook of a server put into a repository that others push to, and taken out again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitcoord.errors import BadInput, GitcoordError
from gitcoord.git.objects import Objects
from gitcoord.git.repo import NULL, Repository
from gitcoord.githooks import folder as hooks
from gitcoord.githooks.folder import Hook
from gitcoord.log.history import Checked, History
from gitcoord.policy.memory import Memory
from gitcoord.policy.rules import SECTION, Policy
from gitcoord.policy.speakers import Speakers
from gitcoord.settings import Settings
from gitcoord.views.projection import TreeProjection

_NAME = "gitcoord"
"""How the hook is called in a folder of many, as Gitea, Forgejo and GitLab have."""
_OF_MANY = "pre-receive.d"


@dataclass(frozen=True)
class Served:
    """What lies in a repository now: its hook, the branch that it is for, what is set, and how many events were checked."""

    hook: Hook
    ref: str
    policy: Policy
    events: int = 0


def repository_at(path: str, environ: Mapping[str, str]) -> Repository:
    """Return the bare repository in that folder. Raises BadInput, NoRepository."""
    place = os.path.realpath(path)
    repo = Repository.find(place, {**environ, "GIT_DIR": place}) if os.path.isdir(place) else None
    if repo is None or repo.work_tree or repo.git_dir != place:
        raise BadInput(
            f"{path!r} is no bare repository: the policy is for the repository that all push to",
            hint="for example: gitcoord serve-policy install /srv/git/project.git",
        )
    return repo


def hooks_folder(repo: Repository, into: str = "") -> tuple[Path, str]:
    """Return the folder for the hook, and how it is called there. `into`: another folder, given from the repository."""
    if into:
        given = Path(repo.git_dir, into)
        return given, (hooks.SERVED if given.name == "hooks" else _NAME)
    usual = Path(repo.hooks_dir())
    many = usual / _OF_MANY
    return (many, _NAME) if many.is_dir() else (usual, hooks.SERVED)


def install(repo: Repository, program: str, *, settings: Mapping[str, str], into: str = "") -> Served:
    """Install the hook, set those of `gitcoord.policy.<key>` that are given, and check the history that is there, once. May run
    twice. Raises GitcoordError.
    """
    Policy.read({f"{SECTION}{key}": value for key, value in settings.items()})
    folder, name = hooks_folder(repo, into)
    _refuse_shared(repo, folder, into)
    before = hooks.served(folder, name)
    if before.state == "edited":
        raise GitcoordError(
            f"{before.path} was changed since it was installed, so it stays", hint="move it away, then run this again"
        )
    if before.state == "foreign" and before.kept:
        raise GitcoordError(
            f"{before.path} is a hook of somebody else's, and an older one is kept as {before.kept}",
            hint="put the two together in one file, then run this again",
        )
    for key, value in settings.items():
        repo.set_config(f"{SECTION}{key}", value)
    checked = _check_all(repo)
    hook = hooks.serve(folder, program, name)
    return _served(repo, hook, checked.seq)


def remove(repo: Repository, *, into: str = "") -> Served:
    """Take the hook out and put back what was there before; what is set stays. Raises GitcoordError."""
    folder, name = hooks_folder(repo, into)
    _refuse_shared(repo, folder, into)
    hook = hooks.serve_no_more(folder, name)
    if hook.state == "edited":
        raise GitcoordError(f"{hook.path} was changed since it was installed, so it stays", hint="take it away by hand")
    return _served(repo, hook)


def _refuse_shared(repo: Repository, folder: Path, into: str) -> None:
    """Raise GitcoordError for a hooks folder that other repositories share, unless it was named."""
    if not into and not hooks.is_inside(folder, Path(repo.common_dir)):
        raise GitcoordError(
            f"git takes the hooks of this repository from {folder}, which other repositories share",
            hint="if it is meant for all of them: --into with that folder",
        )


def _branch_ref(repo: Repository) -> str:
    return f"refs/heads/{Settings.read({key: values[-1] for key, values in repo.config.items()}, {}).branch}"


def _served(repo: Repository, hook: Hook, events: int = 0) -> Served:
    config = {key: values[-1] for key, values in repo.config.items()}
    return Served(hook, _branch_ref(repo), Policy.read(config), events)


def _check_all(repo: Repository) -> Checked:
    """Check the history that is there, and remember it for the hook. Raises Alarm."""
    ref = _branch_ref(repo)
    memory = Memory.of(repo.git_dir, ref)
    tip = repo.oid_of(ref)
    known = Checked()
    if tip != NULL:
        with Objects(repo) as objects:
            known = History(objects, TreeProjection()).check(tip, memory.nearest(tip, lambda one: False))
            config = {key: values[-1] for key, values in repo.config.items()}
            if known.good != NULL and Policy.read(config).ownkey:
                with suppress(OSError):
                    memory.prepare()
                Speakers(repo, objects, Policy.read(config), memory.origins).table(known)
        if known.good == NULL:
            raise BadInput(f"{ref} is no coordination branch", hint="the branch that is meant: git config gitcoord.branch")
    try:
        memory.prepare()
    except OSError as error:
        raise GitcoordError(
            f"nothing can be noted in {memory.path.parent}: {error.strerror}", hint="run it as who owns it"
        ) from error
    memory.note(known)
    return known

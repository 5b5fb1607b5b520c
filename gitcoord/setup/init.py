"""Once a repository: make the branch, or take every local byte of it away again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from gitcoord.agents.settings import files as agent_files
from gitcoord.agents.settings.table import agents
from gitcoord.connection.connect import Connection
from gitcoord.core.events import Receipt
from gitcoord.errors import BadInput, GitcoordError, NotInitialised
from gitcoord.git import discovery
from gitcoord.git.hub import first_commit
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.git.repo import NULL, Repository
from gitcoord.git.tip import Swap
from gitcoord.git.urls import kept_hub
from gitcoord.githooks import install
from gitcoord.machine import files
from gitcoord.outbox.places import count_left
from gitcoord.settings import KEYS, Settings
from gitcoord.views.tree import HUB_TEXT


@contextlib.contextmanager
def chosen(start: str, environ: Mapping[str, str], *, remote: str | None, hub: str | None, local: bool) -> Iterator[None]:
    """Settles where the branch lives, before anything is made, and takes that back if then it can't be made. Raises BadInput where
    only a person can say it.
    """
    repo = Repository.find(start, environ)
    before = {key: repo.setting(key) for key in ("gitcoord.hub", "gitcoord.remote")}
    try:
        _choose(repo, remote=remote, hub=hub, local=local)
        yield
    except GitcoordError:
        for key, value in before.items():
            if repo.setting(key) != value:
                repo.set_config(key, value)
        raise


def _choose(repo: Repository, *, remote: str | None, hub: str | None, local: bool) -> None:
    if (remote is not None) + (hub is not None) + local > 1:
        raise BadInput("--remote, --hub and --local exclude each other")
    if hub is not None:
        repo.set_config("gitcoord.hub", kept_hub(repo, hub))
    elif (remote is not None or local) and repo.setting("gitcoord.hub") is not None:
        repo.set_config("gitcoord.hub", None)
    if hub is not None or (repo.setting("gitcoord.hub") and remote is None and not local):
        return
    if local:
        repo.set_config("gitcoord.remote", ".")
    elif remote is not None:
        if remote not in repo.remotes:
            raise BadInput(f"there is no remote called {remote!r}", hint="git remote -v")
        repo.set_config("gitcoord.remote", remote)
    else:
        check_choice(repo)


def check_choice(repo: Repository) -> None:
    """Raises BadInput where only a person can say which remote all share."""
    if not repo.setting("gitcoord.hub") and repo.setting("gitcoord.remote") is None and {"origin", "upstream"} <= set(repo.remotes):
        raise BadInput(
            "there is an upstream beside origin: say which of the two all sessions share",
            hint="gitcoord init --remote upstream, or: gitcoord init --remote origin",
        )


def set_local(start: str, environ: Mapping[str, str], key: str, value: str) -> None:
    """Sets one of a clone's settings. Raises BadInput for a value that it can't have."""
    repo = Repository.find(start, environ)
    Settings.read({f"gitcoord.{key}": value}, {})
    if not value:
        raise BadInput(f"gitcoord.{key} can't be empty", hint=f"to have none: git config --unset gitcoord.{key}")
    if key == "remote" and value != "." and value not in repo.remotes:
        known = ", ".join(repo.remotes) or "none"
        raise BadInput(f"there is no remote called {value!r} here (there is: {known})", hint="git remote -v")
    if key == "hub":
        value = kept_hub(repo, value)
    repo.set_config(f"gitcoord.{key}", value)


def init(found: Connection, *, op: str = "") -> tuple[Receipt, str]:
    """Makes the branch, or finds it there; what was done, in words. Safe to run again; of two at once one root stays. `op`: the
    caller's own id for it.
    """
    coordinator, tip = found.coordinator, found.tip
    try:
        there = bool(coordinator.branch.view(fresh=True).checked.tip)
    except NotInitialised:
        there = False
    if isinstance(tip, RemoteTip):
        old = "" if found.settings.hub else found.repo.local_branch(found.settings.branch)
        if not there:
            if found.settings.hub and tip.is_empty(found.settings.deadline):
                first_commit(found.home, tip.url, found.settings.deadline, readme=HUB_TEXT)
            elif tip.is_empty(found.settings.deadline):
                raise GitcoordError(
                    f"{tip.where} has no branch yet, and its host would take {found.settings.branch!r} for the default one: "
                    "push your first commit there before",
                    hint="git push -u origin HEAD, then gitcoord init again",
                )
            if old and _is_coordination(found, old):
                return _publish(found, tip, old), f"the local branch was published to {tip.where}"
        elif old and _is_coordination(found, old):
            ref = found.repo.set_aside(old)
            found.repo.drop_local_branch(found.settings.branch, old)
            return Receipt("unchanged", ""), (
                f"the branch is on {tip.where} already; the local record was set aside as {ref}, "
                "and what it held must be claimed anew"
            )
    if not there:
        receipt = coordinator.setup.init(op=op)
        coordinator.setup.join()
        return receipt, f"made the branch {tip.ref}"
    joined = coordinator.setup.join()
    if joined.state == "committed":
        return joined, f"the branch is there already: {tip.ref}; this repository is {coordinator.actor.repo} there from now on"
    return Receipt("unchanged", ""), f"the branch is there already: {tip.ref}"


def _is_coordination(found: Connection, tip: str) -> bool:
    """Whether the local branch of that name is a coordination line that was written without a remote."""
    return any(line.name == "gitcoord.json" for line in found.coordinator.log.objects.folders([tip])[0])


def _publish(found: Connection, tip: RemoteTip, old: str) -> Receipt:
    """Pushes a line that was never pushed, whole; then the local branch goes: it would break `git push --all`."""
    if tip.swap(NULL, old, found.settings.deadline) is Swap.LOST:
        raise GitcoordError("somebody else made the branch meanwhile", hint="gitcoord init")
    found.repo.drop_local_branch(found.settings.branch, old)
    view = found.coordinator.branch.view(fresh=True)
    return Receipt("committed", "", view.checked.seq, old)


def check_removal(found: Connection) -> None:
    """Raises GitcoordError while something is unsent."""
    waiting, refused = found.outbox.waiting(), found.outbox.refused()
    if waiting:
        raise GitcoordError(f"{_commands(len(waiting))} not sent yet", hint="gitcoord sync")
    for path in chain(*found.earlier()):
        if left := count_left(path):
            words = f"{_commands(left)} unsent in an outbox that this clone used before: {path}"
            raise GitcoordError(words, hint="gitcoord sync")
    if refused:
        raise GitcoordError(
            f"{_commands(len(refused))} queued, could not be carried out, and would be lost", hint="gitcoord doctor"
        )


def _commands(count: int) -> str:
    return "1 command is" if count == 1 else f"{count} commands are"


def remove(found: Connection) -> list[str]:
    """Takes away everything local: hooks, settings, what waits, our refs. The branch on the remote stays; so does a branch
    that exists only here, since it is the record itself. Raises GitcoordError while something is unsent.
    """
    check_removal(found)
    repo, done = found.repo, []
    outboxes = (found.outbox.path, *found.earlier()[0])
    with contextlib.suppress(GitcoordError):
        hooks = install.uninstall(repo)
        done += [f"hook {one.event}: {one.change}" for one in hooks if one.change != "none"]
    done += _remove_agents(found)
    for one in (repo, found.home):
        one.drop_refs(one.own_refs(kept=True))
    if isinstance(found.tip, RemoteTip):
        found.tip.forget()
    for key in KEYS:
        if repo.run("config", "--local", "--get", f"gitcoord.{key}").ok:
            repo.set_config(f"gitcoord.{key}", None)
            done.append(f"setting gitcoord.{key}")
    repo.run("config", "--local", "--remove-section", "gitcoord")
    for folder in map(files.own, discovery.git_dirs(repo.common_dir)):
        shutil.rmtree(folder, ignore_errors=True)
    for path in outboxes:
        if path.exists():
            shutil.rmtree(path, ignore_errors=True)
            done.append("the outbox" if path == found.outbox.path else "an outbox that this clone used before")
    return [*done, "local refs and folders"]


def _remove_agents(found: Connection) -> list[str]:
    """Takes the agents' hooks out of this work tree's files, as far as they were put there from this clone."""
    if not found.repo.work_tree:
        return []
    place = agent_files.SettingsPlace("project", Path.home(), {}, Path(found.repo.work_tree), Path(found.repo.common_dir))
    done = []
    for agent in agents().values():
        with contextlib.suppress(GitcoordError):
            if agent_files.has_record(agent, place):
                done += [f"{one.path}: {one.change}" for one in agent_files.uninstall(agent, place) if one.change != "none"]
    return done

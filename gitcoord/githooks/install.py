"""By which way git comes to our hooks in this clone, and putting them in, looking at them and taking them out by it.

Four ways, exactly one for an event, so that nothing is told twice:

- `config`: where every git of this machine is 2.54 or newer, the clone's configuration names them. They run beside any
  hook manager.
- `folder`: else a shim in the clone's own hooks folder, which runs the hook that was there (`githooks.folder`).
- `lefthook`: where that hook is lefthook's, a command in its personal file (`githooks.lefthook`).
- `shared`: where the folder is not the clone's own (husky, core.hooksPath), marked lines in its files (`githooks.shared`): only
  for who asks, since others get them, too. Where a teammate has put them in, they count as installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gitcoord.git import versions as git_versions
from gitcoord.git.repo import Repository
from gitcoord.githooks import folder as hooks_folder
from gitcoord.githooks import lefthook
from gitcoord.githooks import shared as shared_hooks
from gitcoord.githooks.folder import ALL, GUARDS, TRAILERS, Hook, Way


def install(
    repo: Repository, environ: Mapping[str, str], *, program: str, guard: bool = False, trailers: bool = False, shared: bool = False
) -> tuple[Hook, ...]:
    """Installs the hooks, as `hooks_folder.install` says; may run twice. What was installed by another way moves to the one that is
    right now. `shared`: also where others get them, too. Raises GitcoordError.
    """
    place = _HookPlaces(repo)
    before = {hook.event for hook in status(repo) if hook.state in {"installed", "shadowed"}}
    guard, trailers = guard or bool(before & {*GUARDS}), trailers or bool(before & {*TRAILERS})
    asked = hooks_folder.wanted(guard=guard, trailers=trailers)
    if shared and not place.own:
        place.clear_config()
        return shared_hooks.install(place.folder, guard=guard, trailers=trailers)
    there = place.shared()
    left = [event for event in asked if event not in there]
    if not left:
        found: tuple[Hook, ...] = ()
    elif git_versions.have_config_hooks(git_versions.versions(environ)):
        found = place.put_config(left, program)
    else:
        found = place.put_folder(left, program, guard=guard, trailers=trailers)
    return tuple(there[event] if event in there else next(hook for hook in found if hook.event == event) for event in asked)


def may(repo: Repository, environ: Mapping[str, str], *, shared: bool) -> bool:
    """Whether hooks can be installed without giving them to others who were not meant."""
    return shared or _HookPlaces(repo).own or git_versions.have_config_hooks(git_versions.versions(environ))


def plan(
    repo: Repository, environ: Mapping[str, str], *, guard: bool = False, trailers: bool = False, shared: bool = False
) -> tuple[tuple[Hook, Way | Literal["none"]], ...]:
    """What `install` would do: for each event what is there now, and by which way it would come in; none: it can't. Only looks."""
    place = _HookPlaces(repo)
    before = {hook.event: hook for hook in status(repo)}
    had = {event for event, hook in before.items() if hook.state in {"installed", "shadowed"}}
    asked = hooks_folder.wanted(guard=guard or bool(had & {*GUARDS}), trailers=trailers or bool(had & {*TRAILERS}))
    config = git_versions.have_config_hooks(git_versions.versions(environ))
    jobs, soon = lefthook.events(place.folder, repo.work_tree, asked) if place.own else (frozenset(), frozenset())
    found: list[tuple[Hook, Way | Literal["none"]]] = []
    for event in asked:
        hook = before[event]
        if not place.own and (shared or (hook.way == "shared" and hook.state in {"installed", "edited"})):
            found.append((hook, "shared"))
        elif config:
            found.append((hook, "config"))
        elif not place.own:
            found.append((hook, "none"))
        else:
            found.append((hook, "lefthook" if event in jobs | (soon & lefthook.installed(repo.work_tree)) else "folder"))
    return tuple(found)


def uninstall(repo: Repository, *, shared: bool = False) -> tuple[Hook, ...]:
    """Takes out all that is this clone's own, and puts back what was there; with `shared` also what others share. Raises
    GitcoordError.
    """
    place = _HookPlaces(repo)
    found = [*place.clear_config(), *place.clear_lefthook()]
    told = {hook.event for hook in found}
    found += [hook for hook in place.clear_folder() if hook.change != "none" or hook.event not in told]
    if not place.own:
        found += shared_hooks.uninstall(place.folder) if shared else place.shared().values()
    return tuple(found)


def status(repo: Repository) -> tuple[Hook, ...]:
    """For each event where our hook is, or what is there in its place. Raises GitcoordError."""
    place = _HookPlaces(repo)
    config, jobs, shared = place.config(), place.jobs(), place.shared()
    folder = {hook.event: hook for hook in hooks_folder.status(place.folder if place.own else place.hooks)}
    found = []
    for event in ALL:
        hook = config.get(event) or jobs.get(event) or shared.get(event) or folder[event]
        if hook.way == "folder" and not place.own:
            away = hook.state == "installed"
            hook = replace(hook, state="shadowed") if away else shared_hooks.status(place.folder, {event})[0]
        found.append(hook)
    return tuple(found)


class _HookPlaces:
    """A clone's hooks folders, and what of ours is there by each way."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        self.common = Path(repo.common_dir)
        self.folder = Path(repo.hooks_dir())
        self.hooks = self.common / "hooks"
        self.shims = self.common / "gitcoord" / "hooks"
        self.own = hooks_folder.is_inside(self.folder, self.common)

    # --- config ------------------------------------------------------------------------------------------------------

    def config(self) -> dict[str, Hook]:
        """The hooks that the configuration names."""
        found = {}
        for hook in hooks_folder.status(self.shims):
            command = self.repo.setting(f"hook.gitcoord-{hook.event}.command")
            if command is not None:
                intact = hook.state == "installed" and command == _command(hook.event)
                found[hook.event] = replace(hook, state="installed" if intact else "edited", way="config")
        return found

    def put_config(self, events: list[str], program: str) -> tuple[Hook, ...]:
        """Names them in the configuration; shims in a hooks folder go, or all would be told twice."""
        self.clear_lefthook()
        self.clear_folder()
        before = self.config()
        hooks = self._put_shims(events, program)
        found = []
        for hook in hooks:
            if hook.event not in before:
                self.repo.set_hook(f"gitcoord-{hook.event}", hook.event, _command(hook.event))
                hook = replace(hook, change="installed")
            found.append(replace(hook, way="config"))
        return tuple(found)

    def clear_config(self) -> tuple[Hook, ...]:
        """Takes them out of the configuration."""
        found = self.config()
        for event in found:
            self.repo.set_hook(f"gitcoord-{event}", event, None)
        if found:
            hooks_folder.uninstall(self.shims, common_dir=self.common, alone=True)
        return tuple(replace(hook, state="absent", change="removed") for hook in found.values())

    def _put_shims(self, events: list[str], program: str) -> tuple[Hook, ...]:
        besides = {*ALL} - {*events}
        return hooks_folder.install(self.shims, common_dir=self.common, program=program, guard=True, trailers=True, besides=besides)

    # --- folder, and lefthook in it ----------------------------------------------------------------------------------

    def put_folder(self, events: list[str], program: str, *, guard: bool, trailers: bool) -> tuple[Hook, ...]:
        """Puts shims into the clone's own hooks folder, and commands into lefthook's file for what that has hooks for."""
        hooks_folder.check(self.folder, common_dir=self.common, guard=guard)
        self.clear_config()
        jobs, soon = lefthook.events(self.folder, self.repo.work_tree, events)
        found = []
        if jobs:
            hooks_folder.uninstall(self.folder, common_dir=self.common, alone=True, events=jobs)
        if jobs | soon:
            found += [hook for hook in self._put_jobs(sorted(jobs | soon), program) if hook.event in jobs]
        found += hooks_folder.install(
            self.folder, common_dir=self.common, program=program, guard=guard, trailers=trailers,
            besides={*ALL} - {*events} | jobs,
        )  # fmt: skip
        return tuple(found)

    def clear_folder(self) -> tuple[Hook, ...]:
        """Takes the shims out of the hooks folder, and out of the clone's own where git's was moved since."""
        return hooks_folder.uninstall(self.folder, common_dir=self.common)

    def jobs(self) -> dict[str, Hook]:
        """The hooks that lefthook calls."""
        return {
            event: Hook(event, "installed", lefthook.file(self.repo.work_tree), way="lefthook")
            for event in lefthook.installed(self.repo.work_tree)
        }

    def _put_jobs(self, events: list[str], program: str) -> list[Hook]:
        top = self.repo.work_tree
        self._put_shims(events, program)
        path = lefthook.file(top)
        with hooks_folder.explained(path):
            change = lefthook.install(
                top, self.common / "info" / "exclude", {event: _command(event) for event in events},
                ignored=path.exists() or self.repo.ignores(path.name),
            )  # fmt: skip
        return [Hook(event, "installed", path, change=change, way="lefthook") for event in events]

    def clear_lefthook(self) -> tuple[Hook, ...]:
        """Takes the commands out of lefthook's file."""
        found = self.jobs()
        with hooks_folder.explained(self.common):
            change = lefthook.uninstall(self.repo.work_tree, self.common / "info" / "exclude")
        if found:
            hooks_folder.uninstall(self.shims, common_dir=self.common, alone=True)
        return tuple(replace(hook, state="absent", change=change) for hook in found.values())

    # --- shared ------------------------------------------------------------------------------------------------------

    def shared(self) -> dict[str, Hook]:
        """The hooks that are in the files of a folder that others share."""
        if self.own:
            return {}
        return {hook.event: hook for hook in shared_hooks.status(self.folder) if hook.state in {"installed", "edited"}}


def _command(event: str) -> str:
    """The line of shell that calls a shim in gitcoord's own folder; git (or lefthook) adds the hook's arguments at its end. Found
    anew each time: a repository may be moved.
    """
    find = f'gitcoord_hook="$(git rev-parse --git-common-dir)/gitcoord/hooks/{event}"'
    return f'{find}; [ ! -x "$gitcoord_hook" ] || "$gitcoord_hook"'

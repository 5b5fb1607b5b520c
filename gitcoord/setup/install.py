"""Installing in one go, and undoing it: a list of steps, each of which can say beforehand what it would write.

A step only looks in `plan`; `do` and `undo` may run twice. Whoever brings a new kind of thing to install (an agent's settings)
writes one more step and enters it in `steps`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from gitcoord.agents.settings import files
from gitcoord.agents.settings.table import AgentFiles
from gitcoord.agents.settings.table import agents as all_agents
from gitcoord.connection.connect import Connection, connect
from gitcoord.core.leases import held_now
from gitcoord.core.names import show
from gitcoord.core.times import spell
from gitcoord.errors import GitcoordError, NotInitialised
from gitcoord.git import discovery
from gitcoord.git import versions as git_versions
from gitcoord.githooks import folder as hooks_folder
from gitcoord.githooks import install as git_hooks
from gitcoord.githooks import lefthook
from gitcoord.githooks import shared as shared_hooks
from gitcoord.machine import agents
from gitcoord.machine.identity import Identity
from gitcoord.setup import init as setup
from gitcoord.setup.steps import InstallLine, Step, Wanted
from gitcoord.setup.workflow import WorkflowStep


def steps(wanted: Wanted) -> tuple[Step, ...]:
    """All steps, in the order in which they are done; undone in the opposite one."""
    return (BranchStep(wanted), GitHooksStep(wanted), AgentsStep(wanted), WorkflowStep(wanted), SessionsStep(wanted))


def plan(every: Sequence[Step], *, undo: bool = False) -> tuple[InstallLine, ...]:
    """The lines of all steps."""
    return tuple(line for step in (reversed(every) if undo else every) for line in step.plan(undo=undo))


def found(wanted: Wanted) -> dict[str, str]:
    """What is there, for a person: gits, hook managers, agents."""
    with connect(wanted.start, wanted.environ) as here:
        top, folder = here.repo.work_tree, Path(here.repo.hooks_dir())
        gits = git_versions.versions(wanted.environ)
        said = ", ".join(f"{'.'.join(map(str, version)) or 'unknown'} ({place})" for place, version in gits.items())
        every = "all run" if git_versions.have_config_hooks(gits) else "not all run"
        used = agents.find(wanted.environ, top, wanted.environ.get("HOME", ""))
        return {
            "git": f"{said}: {every} hooks from the configuration; one inside of an editor can't be seen from here",
            "hooks": "; ".join(managers(top, folder, Path(here.repo.common_dir))) or "none but gitcoord's",
            "agents": "; ".join(f"{agents.AGENTS[name].title} ({', '.join(by)})" for name, by in used.items()) or "none",
        }


def managers(top: str, folder: Path, common: Path) -> list[str]:
    """Who manages hooks in a repository, and what is set."""
    said = []
    if shared_hooks.is_huskys(folder):
        said.append(f"husky (core.hooksPath: {folder})")
    elif not hooks_folder.is_inside(folder, common):
        said.append(f"core.hooksPath: {folder}")
    if top and any((Path(top) / name).is_file() for name in lefthook.NAMES):
        said.append("lefthook")
    if top and any((Path(top) / f".pre-commit-config.{kind}").is_file() for kind in ("yaml", "yml")):
        said.append("pre-commit")
    own = hooks_folder.status(folder) if hooks_folder.is_inside(folder, common) else ()
    kept = [hook.event for hook in own if hook.state == "foreign" or hook.kept]
    return [*said, *([f"hooks in {folder}: {', '.join(kept)}"] if kept else [])]


@dataclass(frozen=True)
class BranchStep:
    """The coordination branch. Its undoing leaves the branch on the remote, and takes all else of gitcoord from this clone."""

    wanted: Wanted

    def plan(self, *, undo: bool = False) -> Sequence[InstallLine]:
        """See Step."""
        with self._connect() as here:
            if undo:
                now, will = "nothing waits", "take away (the branch stays)"
                try:
                    setup.check_removal(here)
                except GitcoordError as error:
                    now, will = error.message, f"nothing as long as that is so: {error.hint}"
                return [InstallLine("local files", str(here.outbox.path), now, will, "what commands keep on this machine")]
            setup.check_choice(here.repo)
            try:
                there = bool(here.coordinator.branch.view(fresh=True).checked.tip)
            except NotInitialised:
                there = False
            now, will = ("there", "") if there else ("not there", "make")
            return [InstallLine("branch", here.tip.ref, now, will, "all sessions of the repository meet there")]

    def do(self) -> Sequence[str]:
        """See Step."""
        with (
            setup.chosen(self.wanted.start, self.wanted.environ, remote=None, hub=None, local=False),
            self._connect() as here,
        ):
            receipt, words = setup.init(here)
        return [] if receipt.state == "unchanged" else [words]

    def undo(self) -> Sequence[str]:
        """See Step."""
        with self._connect() as here:
            return [f"took away {line}" for line in setup.remove(here)]

    def check_undo(self) -> None:
        """See Step."""
        with self._connect() as here:
            setup.check_removal(here)

    def _connect(self) -> AbstractContextManager[Connection]:
        return connect(self.wanted.start, self.wanted.environ)


_WHY = {
    **dict.fromkeys(hooks_folder.EVENTS, "commits and checkouts tell others by themselves"),
    **dict.fromkeys(hooks_folder.GUARDS, "asked for with --guard: a file that another holds is told before"),
    **dict.fromkeys(hooks_folder.TRAILERS, "asked for with --trailers: a commit says whose session made it"),
}
_WILL = {"config": "name it in the configuration", "lefthook": "add a command", "shared": "add marked lines, which others get, too"}


@dataclass(frozen=True)
class GitHooksStep:
    """The git hooks."""

    wanted: Wanted

    def plan(self, *, undo: bool = False) -> Sequence[InstallLine]:
        """See Step."""
        with connect(self.wanted.start, self.wanted.environ) as here:
            common = Path(here.repo.common_dir)
            if undo:
                own = [hook for hook in git_hooks.status(here.repo) if hook.state in {"installed", "shadowed"} or hook.kept]
                return [self._line(here, hook, self._undoing(hook), common) for hook in own]
            lines = []
            for hook, way in git_hooks.plan(
                here.repo, self.wanted.environ, guard=self.wanted.guard, trailers=self.wanted.trailers, shared=self.wanted.shared
            ):
                lines.append(self._line(here, hook, self._doing(hook, way), common))
            return lines

    def do(self) -> Sequence[str]:
        """See Step. Hooks that others share, and nobody asked for, are left out with a word."""
        wanted = self.wanted
        with connect(wanted.start, wanted.environ) as here:
            if not git_hooks.may(here.repo, wanted.environ, shared=wanted.shared):
                return ["left the git hooks out: others share them; with --shared they get a few lines"]
            hooks = git_hooks.install(
                here.repo,
                wanted.environ,
                program=wanted.program,
                guard=wanted.guard,
                trailers=wanted.trailers,
                shared=wanted.shared,
            )
        return [f"{hook.event}: {hook.change}" for hook in hooks if hook.change != "none"]

    def undo(self) -> Sequence[str]:
        """See Step."""
        with connect(self.wanted.start, self.wanted.environ) as here:
            hooks = git_hooks.uninstall(here.repo, shared=self.wanted.shared)
        return [f"{hook.event}: {hook.change}" for hook in hooks if hook.change != "none"]

    def check_undo(self) -> None:
        """See Step: what others have put in the hooks' place stays."""

    def _doing(self, hook: hooks_folder.Hook, way: str) -> str:
        if hook.state == "installed" and hook.way == way:
            return ""
        if hook.state == "edited":
            return ""
        if way == "none":
            return "nothing without --shared: others would get it, too"
        if way != "folder":
            return _WILL[way] if way == "shared" or hook.state != "foreign" or hook.way == "folder" else ""
        return "write; it runs the one that is there" if hook.state == "foreign" else "write"

    def _undoing(self, hook: hooks_folder.Hook) -> str:
        if hook.way == "shared":
            return "take the marked lines out" if self.wanted.shared else "nothing without --shared: others have it, too"
        return "put back what was there" if hook.kept else "take away"

    def _line(self, here: Connection, hook: hooks_folder.Hook, will: str, common: Path) -> InstallLine:
        names = {"absent": "not there", "foreign": "another hook", "edited": "ours, edited: stays", "shadowed": "ours, not run"}
        where = show(_from(here.repo.work_tree or str(common), hook.path), 200)
        return InstallLine(f"git hook {hook.event}", where, names.get(hook.state, "there"), will, _WHY.get(hook.event, ""))


_HELD = 5  # claims of a session that are shown
_NOW = {"installed": "there", "absent": "not there"}


@dataclass(frozen=True)
class AgentsStep:
    """The hooks of coding agents, in this project's settings of theirs."""

    wanted: Wanted

    def plan(self, *, undo: bool = False) -> Sequence[InstallLine]:
        """See Step. What can't be read for sure stays as it is; for an agent that was named, that is an error."""
        with connect(self.wanted.start, self.wanted.environ) as here:
            top = here.repo.work_tree
            tells = agents.find(self.wanted.environ, top, "") if self.wanted.agents is None else {}
            lines = []
            for agent, place in self._meant(here, undo=undo):
                try:
                    placed = files.uninstall(agent, place, dry=True) if undo else files.install(agent, place, dry=True)
                except GitcoordError as error:
                    if self.wanted.agents is not None:
                        raise
                    why = _found(tells.get(agent.name, ()))
                    lines.append(InstallLine(f"hooks of {agent.title}", "", "can't be told", f"nothing: {error.message}", why))
                    continue
                now = {one.path: _NOW.get(one.state, str(one.state)) for one in files.status(agent, place)}
                for one in placed:
                    will = {"installed": "add ours", "updated": "update ours", "restored": "put back what was there"}
                    does = (
                        will.get(one.change, "take ours out")
                        if one.change != "none"
                        else f"nothing: {one.note}"
                        if one.note
                        else ""
                    )
                    why = "put in from this machine" if undo else _found(tells.get(agent.name, ()))
                    where = show(_from(top, one.path), 200)
                    lines.append(InstallLine(f"hooks of {agent.title}", where, now[one.path], does, why))
            return lines if undo else [*lines, *self._left_out(top)]

    def _left_out(self, top: str) -> list[InstallLine]:
        """Return a line for each agent that its user has and for which nothing is done here, with the reason."""
        environ, known = self.wanted.environ, all_agents()
        home = environ.get("HOME", "")
        if self.wanted.agents is not None or not top or not home:
            return []
        here, lines = agents.find(environ, top, ""), []
        for name, by in agents.find(environ, top, home).items():
            if name in here or name not in known:
                continue
            where, now = "", "not there"
            will = f"nothing: only {', '.join(by)} tells of it; to have them here: gitcoord install --agent {name}"
            its = files.status(known[name], files.SettingsPlace("user", Path(home), environ))
            if its and all(one.state == "installed" for one in its):
                where, now, will = show(str(its[0].path), 200), "there", "nothing: for all projects"
            lines.append(InstallLine(f"hooks of {known[name].title}", where, now, will, _found(by)))
        return lines

    def do(self) -> Sequence[str]:
        """See Step. What a person has to do once for an agent is said, too."""
        return self._each(undo=False)

    def undo(self) -> Sequence[str]:
        """See Step."""
        return self._each(undo=True)

    def check_undo(self) -> None:
        """See Step: what others have changed in the files stays."""

    def _each(self, *, undo: bool) -> list[str]:
        done: list[str] = []
        with connect(self.wanted.start, self.wanted.environ) as here:
            for agent, place in self._meant(here, undo=undo):
                try:
                    placed = files.uninstall(agent, place) if undo else files.install(agent, place)
                except GitcoordError:
                    if self.wanted.agents is not None:
                        raise
                    continue  # the plan has said why
                changed = [one for one in placed if one.change != "none"]
                done += [f"{one.change}: {agent.title}: {one.path}" for one in changed]
                if agent.then and not undo and any(one.asked for one in placed):
                    done.append(f"for you to do: {agent.then}")
        return done

    def _meant(self, here: Connection, *, undo: bool) -> list[tuple[AgentFiles, files.SettingsPlace]]:
        top = here.repo.work_tree
        if not top:
            return []
        environ, known = self.wanted.environ, all_agents()
        place = files.SettingsPlace("project", Path(environ.get("HOME", "/")), environ, Path(top), Path(here.repo.common_dir))
        if undo:
            return [(agent, place) for agent in known.values() if files.has_record(agent, place)]
        names = self.wanted.agents
        if names is None:
            names = tuple(name for name in agents.find(environ, top, "") if name in known)
        return [(known[name], place) for name in known if name in names]


@dataclass(frozen=True)
class SessionsStep:
    """The sessions of this clone that go on, and what they hold. Nothing is done about them: to end one is its own decision."""

    wanted: Wanted

    def plan(self, *, undo: bool = False) -> Sequence[InstallLine]:
        """See Step."""
        if not undo:
            return []
        with connect(self.wanted.start, self.wanted.environ) as here:
            try:
                state = here.coordinator.branch.view(fresh=False).state
            except NotInitialised:
                return []
            now = here.coordinator.branch.time_now()
            lines = []
            for git_dir in discovery.git_dirs(here.repo.common_dir):
                for binding in Identity(Path(git_dir)).all():
                    known = state.sessions.get(binding.session)
                    if known is None or not known.live or known.run_id != binding.run_id:
                        continue
                    held = [f"{one.resource} until {spell(one.expires_at)}" for one in held_now(state, binding.session, now)]
                    more = [f"{len(held) - _HELD} more"] if len(held) > _HELD else []
                    has = f"active, holds {', '.join([*held[:_HELD], *more])}" if held else "active, holds nothing"
                    will = f"nothing: to end it before: gitcoord --session {binding.session} end"
                    where = discovery.work_tree(git_dir) or git_dir
                    why = "its claims stay until they run out" if held else "it goes on until it ends or falls silent"
                    lines.append(InstallLine(f"session {binding.session}", where, has, will, why))
            return lines

    def do(self) -> Sequence[str]:
        """See Step."""
        return []

    def undo(self) -> Sequence[str]:
        """See Step."""
        return []

    def check_undo(self) -> None:
        """See Step."""


def _found(by: Sequence[str]) -> str:
    """Return what tells that an agent is used here, as a reason."""
    return f"found: {', '.join(by)}" if by else "it was named"


def _from(top: str, path: Path) -> str:
    """The path as it is read best: from the top where it lies below it."""
    return os.path.relpath(path, top) if path.is_relative_to(top) else str(path)


def do(every: Sequence[Step]) -> list[str]:
    """Does all steps in order; what was done. Raises GitcoordError, with what was done before it kept: run it again to go on."""
    return [line for step in every for line in step.do()]


def check_undo(every: Sequence[Step]) -> None:
    """Raises GitcoordError where something would be lost: then nothing is to be undone at all."""
    for step in every:
        step.check_undo()


def undo(every: Sequence[Step]) -> list[str]:
    """Undoes all steps in the opposite order; what was done. Raises GitcoordError."""
    done: list[str] = []
    for step in reversed(every):
        try:
            done += step.undo()
        except NotInitialised:
            continue
    return done

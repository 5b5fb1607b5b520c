"""gitcoord's part in the files of coding agents: put in, taken out, looked at; nothing else in them is ever changed.

What a file was before is kept on this machine: as long as nobody has changed it since, taking ours out gives back every byte, and a
file or folder that wasn't there is gone. After a change by anybody only what is ours goes. Refuses: files that can't be read for
sure (comments in JSON), files that say they are not to be written, links that lead out of the project.
"""

from __future__ import annotations

import base64
import contextlib
import difflib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gitcoord.agents.settings import jsontext
from gitcoord.agents.settings.edits import State
from gitcoord.agents.settings.table import AgentFiles, Scope, SettingsFile, agents
from gitcoord.errors import GitcoordError
from gitcoord.machine import files

Change = Literal["none", "installed", "updated", "restored", "removed"]


@dataclass(frozen=True)
class SettingsPlace:
    """Where it is done: the project's root and git folder (without them only a user's files), the user's home and environment."""

    scope: Scope
    home: Path
    environ: Mapping[str, str]
    root: Path | None = None
    common_dir: Path | None = None

    @property
    def kept(self) -> Path:
        """The folder with what files were before: of a project in its git folder, where it goes with the rest of ours."""
        if self.scope == "project" and self.common_dir:
            return files.own(self.common_dir) / "agents"
        state = self.environ.get("XDG_STATE_HOME", "")
        return (Path(state) if os.path.isabs(state) else self.home / ".local" / "state") / "gitcoord" / "agents"


@dataclass(frozen=True)
class Placed:
    """A file of an agent, and what was done to it, or (`dry`) would be. `note`: what a person should know; `diff`: lines; `asked`:
    True if an agent that asks its person about each new hook will ask.
    """

    agent: str
    path: Path
    state: State
    change: Change = "none"
    note: str = ""
    diff: tuple[str, ...] = ()
    asked: bool = False


@dataclass(frozen=True)
class _Record:
    """What a file was before ours came in (None: not there), its digest since, and what was made for ours."""

    before: bytes | None
    after: str
    made: tuple[jsontext.Path, ...] = ()
    folders: tuple[str, ...] = ()


def install(agent: AgentFiles, place: SettingsPlace, *, dry: bool = False) -> tuple[Placed, ...]:
    """Puts ours into the agent's files; may run twice. Raises GitcoordError, with nothing of the agent changed."""
    imported = _imported(agent, place)
    if imported:
        return tuple(replace(one, note=imported) for one in status(agent, place))
    plans = [_plan_install(agent, target, path, place) for target, path in _files(agent, place)]
    return _carry_out_all(plans, place, dry=dry)


def uninstall(agent: AgentFiles, place: SettingsPlace, *, dry: bool = False) -> tuple[Placed, ...]:
    """Takes ours out of the agent's files. Raises GitcoordError, with nothing of the agent changed."""
    plans = [_plan_uninstall(agent, target, path, place) for target, path in reversed(_files(agent, place))]
    return _carry_out_all(plans, place, dry=dry)


def status(agent: AgentFiles, place: SettingsPlace) -> tuple[Placed, ...]:
    """What of ours is in the agent's files; a file that can't be read is told in its note."""
    found = []
    for target, path in _files(agent, place):
        try:
            found.append(Placed(agent.name, path, _state(agent, target, path, _read(path))))
        except GitcoordError as error:
            found.append(Placed(agent.name, path, "absent", note=error.message))
    return tuple(found)


def has_record(agent: AgentFiles, place: SettingsPlace) -> bool:
    """Whether it was installed from this machine."""
    return any(_recall(path, place) is not None for _, path in _files(agent, place))


@dataclass(frozen=True)
class _Plan:
    """A change of one file that has been thought through to the end: carrying it out asks nothing any more."""

    placed: Placed
    now: bytes | None
    then: bytes | None
    record: _Record | None = None
    runs: bool = False


def _plan_install(agent: AgentFiles, target: SettingsFile, path: Path, place: SettingsPlace) -> _Plan:
    now = _read(path)
    text = _text(now, path)
    with _readable(agent, path):
        state = target.edit.state(text)
        placed = Placed(agent.name, path, state)
        if state == "installed":
            return _Plan(placed, now, now, _recall(path, place))
        if state == "foreign":
            raise GitcoordError(f"{path} is there already, and isn't gitcoord's", hint="gitcoord hooks status")
        if state == "edited":
            return _Plan(replace(placed, note="it was changed since, so it stays"), now, now, _recall(path, place))
        old = _recall(path, place)
        before = now
        if old and old.after == _digest(now):
            before = old.before
        elif state == "outdated":
            before = target.edit.strip(text, old.made if old else None).encode()
        new, made = target.edit.add(_text(before, path))
        if state == "outdated":
            new = target.edit.renew(text, old.made if old else None)
    ours = _made_folders(place)
    folders = tuple(str(one) for one in reversed(path.parents) if str(one) in ours or not one.exists())
    record = _Record(before, _digest(new.encode()), tuple(made), folders or (old.folders if old else ()))
    change: Change = "installed" if state == "absent" else "updated"
    placed = replace(placed, state="installed", change=change, asked=target.edit.is_asked_about(text, new))
    return _Plan(placed, now, new.encode(), record, target.runs)


def _plan_uninstall(agent: AgentFiles, target: SettingsFile, path: Path, place: SettingsPlace) -> _Plan:
    now = _read(path)
    old = _recall(path, place)
    text = _text(now, path)
    with _readable(agent, path):
        state = target.edit.state(text)
        placed = Placed(agent.name, path, state)
        if old and now is not None and old.after == _digest(now):
            change: Change = "removed" if old.before is None else "restored"
            return _Plan(replace(placed, state="absent", change=change), now, old.before, old)
        if state == "edited":
            return _Plan(replace(placed, note="it was changed since, so it stays"), now, now, old)
        if state in {"absent", "foreign"}:
            return _Plan(placed, now, now, old and replace(old, before=now))
        new = target.edit.strip(text, old.made if old else None)
        ours = old.before is None if old else target.whole
        then = None if ours and target.edit.bare(new) else new.encode()
    return _Plan(replace(placed, state="absent", change="removed"), now, then, old)


def _carry_out_all(plans: list[_Plan], place: SettingsPlace, *, dry: bool) -> tuple[Placed, ...]:
    for plan in plans:
        path = plan.placed.path
        if plan.now != plan.then and plan.now is not None and not path.stat().st_mode & 0o200:  # root could, but isn't meant to
            raise GitcoordError(f"{path} is read-only, so it is not touched", hint=f"see whose it is, and why: ls -l {path.name}")
    return tuple(_carry_out(plan, place, dry=dry) for plan in plans)


def _carry_out(plan: _Plan, place: SettingsPlace, *, dry: bool) -> Placed:
    placed = plan.placed
    if plan.now != plan.then:
        placed = replace(placed, diff=_diff(plan, placed.path))
    if dry:
        return placed
    with _explained(placed.path):
        if placed.change in {"installed", "updated"} and plan.then is not None and plan.record:
            _remember(placed.path, place, plan.record)  # before the file: without it the file could not be given back
            _write(placed.path, plan.then, runs=plan.runs)
        elif placed.state in {"absent", "foreign"} and placed.note == "":
            if plan.now != plan.then:
                _write(placed.path, plan.then)
            _tidy(placed.path, plan.record)
            _forget(placed.path, place)
    return placed


def _files(agent: AgentFiles, place: SettingsPlace) -> list[tuple[SettingsFile, Path]]:
    """The agent's files there. Raises GitcoordError where it has none, or a link leads elsewhere."""
    root = place.root or Path()
    found = []
    for target in agent.targets:
        path = target.path(place.scope, root, place.home, place.environ)
        if path is None:
            raise GitcoordError(
                f"{agent.title} has such a file only in a project", hint=f"gitcoord hooks install --agent {agent.name}"
            )
        real = path.resolve()
        if place.scope == "project" and not real.is_relative_to(root.resolve()):
            raise GitcoordError(
                f"{path} leads out of this project, to {real}: it is not touched", hint="ls -l, and see who made that link"
            )
        found.append((target, real))
    return found


def _state(agent: AgentFiles, target: SettingsFile, path: Path, data: bytes | None) -> State:
    with _readable(agent, path):
        return target.edit.state(_text(data, path))


def _imported(agent: AgentFiles, place: SettingsPlace) -> str:
    """Why nothing is to be done, if so: Cursor runs Claude Code's hooks, too."""
    if agent.name != "cursor":
        return ""
    claude = agents()["claude"]
    places = (place, replace(place, scope="user"))
    if any(one.state in {"installed", "outdated"} for where in places for one in status(claude, where)):
        return "Cursor imports the hooks of Claude Code, which are there: with its own it would call twice"
    return ""


# --- files -----------------------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes | None:
    with _explained(path):
        if not os.path.lexists(path):
            return None
        if not path.is_file():
            raise GitcoordError(f"{path} is no file", hint="gitcoord hooks status")
        return path.read_bytes()


def _text(data: bytes | None, path: Path) -> str:
    try:
        return (data or b"").decode()
    except UnicodeDecodeError:
        raise GitcoordError(f"{path} isn't UTF-8, so it is not touched", hint="save it as UTF-8, then run this again") from None


def _write(path: Path, data: bytes | None, *, runs: bool = False) -> None:
    """Write it whole, with the mode that the file had. None: no file. `runs`: a new one is a program."""
    if data is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, data, mode=0o777 if runs else 0o666, keep_mode=True)


def _tidy(path: Path, record: _Record | None) -> None:
    """Takes the folders away that were made for the file, if nothing else is in them."""
    for folder in sorted(record.folders if record else (), key=len, reverse=True):
        if path.is_relative_to(folder):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _diff(plan: _Plan, path: Path) -> tuple[str, ...]:
    old, new = ((data or b"").decode("utf-8", "replace").splitlines() for data in (plan.now, plan.then))
    names = ("/dev/null" if plan.now is None else str(path), "/dev/null" if plan.then is None else str(path))
    return tuple(difflib.unified_diff(old, new, *names, lineterm=""))


# --- what files were before ------------------------------------------------------------------------------------------


def _entry(path: Path, place: SettingsPlace) -> Path:
    return place.kept / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:24]}.json"


def _remember(path: Path, place: SettingsPlace, record: _Record) -> None:
    before = None if record.before is None else base64.b64encode(record.before).decode()
    said = {"path": str(path), "before": before, "after": record.after, "made": record.made, "folders": record.folders}
    files.private_folder(place.kept)
    files.write_json(_entry(path, place), said, durable=True)


def _recall(path: Path, place: SettingsPlace) -> _Record | None:
    """The record of that file; None when there is none that can be read."""
    with contextlib.suppress(OSError):
        return files.read(_entry(path, place), _record)
    return None


def _made_folders(place: SettingsPlace) -> frozenset[str]:
    """Return the folders that were made for files of ours there, also those of other agents: they go with the last of these."""
    records = (files.read(path, _record) for path in place.kept.glob("*.json"))
    return frozenset(folder for record in records if record is not None for folder in record.folders)


def _record(value: Any) -> _Record:
    before = None if value["before"] is None else base64.b64decode(value["before"])
    made = tuple(tuple(one) for one in value["made"])
    return _Record(before, str(value["after"]), made, tuple(map(str, value["folders"])))


def _forget(path: Path, place: SettingsPlace) -> None:
    _entry(path, place).unlink(missing_ok=True)
    for folder in (place.kept, place.kept.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _digest(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()


@contextlib.contextmanager
def _readable(agent: AgentFiles, path: Path) -> Iterator[None]:
    try:
        yield
    except jsontext.NotPlain as error:
        raise GitcoordError(
            f"{path} can't be changed safely, so it is not touched: {error}",
            hint=f"mend it, then: gitcoord hooks install --agent {agent.name}",
        ) from None


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GitcoordError(
            f"{error.filename or path} can't be used: {error.strerror or error}", hint="gitcoord hooks status"
        ) from error

"""The shortest way of a hook before an edit: what was plain for the last edit of the session is plain for this one, too.

Once the long way (`steps`) had nothing to say about an edit, it notes what that hung on: the agent's variables, the form of the
payload, who was bound. A payload of the same form, from the same place, under the same variables is read in the same way. Then only
the file is another one, and whether somebody else holds it stands in a text (`guard.glance`). Any difference, and the long way is
gone again. Loads nearly nothing: Python's start is nearly the whole cost.
"""

import os

from gitcoord.guard import glance
from gitcoord.machine import background, plainjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_FOLDER = "plain-edits"
_SIZE = 1 << 16
_ID = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")
_TIED = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
"""Variables by which git finds another repository: where one is set, the long way is gone."""


def is_plain(payload: "Mapping[str, Any]", named: str, environ: "Mapping[str, str]") -> bool:
    """Return True if the call is for an edit about which nothing is to be said; then it is done."""
    given = payload.get("tool_input")
    if not isinstance(given, dict) or not _name(payload) or any(name in environ for name in _TIED):
        return False
    for place in _places(given):
        found = _git_dirs(os.path.dirname(place))
        if found is None:
            continue
        root, git_dir, common = found
        note = _note(os.path.join(_own(git_dir), _FOLDER, _name(payload)))
        if note is None or given.get(note["path_in"]) != place or note["seen"] != _seen(payload, named, environ, note["names"]):
            return False
        return _is_done(note, place, root, _own(git_dir), _own(common), environ, helper=bool(payload.get("agent_id")))
    return False


def _is_done(
    note: "Mapping[str, Any]", path: str, root: str, own: str, shared: str, environ: "Mapping[str, str]", *, helper: bool
) -> bool:
    mailbox = os.path.join(own, "mailbox", note["session"])
    if note["bound"] != bound(own, note["session"]) or os.path.lexists(os.path.join(mailbox, "autoclaim")):
        return False
    if os.path.realpath(path) != path or not path.startswith(f"{root}/"):
        return False  # a link: what it leads to counts, too
    inside = path[len(root) + 1 :]
    if inside.startswith(".git/") or not glance.is_free(shared, inside, note["session"]):
        return False
    if not helper:
        handle = os.open(os.path.join(mailbox, "active"), os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        os.utime(handle)
        os.close(handle)
    background.begin_apart(shared, root, lambda: _environment(environ, note["ids"]))
    return True


def _environment(environ: "Mapping[str, str]", ids: "Mapping[str, str]") -> dict[str, str]:
    """Return the environment of what is begun in the background: without what ties git to a repository, as the agent's."""
    from gitcoord.git import environment
    from gitcoord.machine.agents import OUTER

    return {name: value for name, value in environment.outside(environ).items() if name not in OUTER.values()} | dict(ids)


def _places(given: "Mapping[str, Any]") -> list[str]:
    """The values that may be the file's path."""
    return [
        value for value in given.values() if isinstance(value, str) and len(value) < 4096 and value[:1] == "/" and "\0" not in value
    ]


def _git_dirs(folder: str) -> tuple[str, str, str] | None:
    """Return the root of the work tree around the folder, its git folder, and that which all work trees share; None where only git,
    or the long way, can tell.
    """
    try:
        device = os.stat(folder).st_dev
    except OSError:
        return None  # it is still to be made
    here, user = folder, os.geteuid()
    while True:
        dot = os.path.join(here, ".git")
        try:
            mode = os.lstat(dot)
            break
        except OSError:
            above = os.path.dirname(here)
            if above == here:
                return None
            here = above
    top = os.lstat(here)
    git_dir = common = dot
    if mode.st_mode & 0o170000 == 0o100000:  # a linked work tree, or a submodule
        word, _, place = _text(dot).partition(" ")
        git_dir = common = os.path.realpath(os.path.join(here, place.rstrip("\n"))) if word == "gitdir:" else ""
        if os.path.lexists(os.path.join(git_dir, "commondir")):
            common = os.path.realpath(os.path.join(git_dir, _text(os.path.join(git_dir, "commondir")).rstrip("\n")))
    elif mode.st_mode & 0o170000 != 0o040000:
        return None
    if not os.path.lexists(os.path.join(git_dir, "HEAD")) or top.st_dev != device:
        return None
    mine = {user} == {mode.st_uid, top.st_uid, os.lstat(git_dir).st_uid}
    return (here, git_dir, common) if mine else None


def _own(git_dir: str) -> str:
    """Return our folder in that git folder. Raises OSError where it is another user's."""
    own = os.path.join(git_dir, "gitcoord")
    status = os.lstat(own)
    if status.st_uid != os.geteuid() or status.st_mode & 0o170000 != 0o040000:
        raise PermissionError(own)
    return own


def _seen(payload: "Mapping[str, Any]", named: str, environ: "Mapping[str, str]", names: list[str]) -> "dict[str, Any]":
    """Return all of a call that decides whose it is and how it is read, but for the file's path and what is written."""
    given = payload["tool_input"]
    return {
        **{name: payload.get(name) for name in ("hook_event_name", "tool_name", "session_id", "cwd", "transcript_path")},
        "named": named, "keys": sorted(payload), "given": sorted(given), "is_helper": bool(payload.get("agent_id")),
        "environ": {name: environ[name] for name in names if name in environ},
        "codex": any(name.startswith("CODEX_") for name in environ), "program": os.stat(__file__).st_mtime_ns,
    }  # fmt: skip


def bound(own: str, session: str) -> list[int]:
    """Return what is another if any session was bound or unbound in that work tree."""
    folder = os.path.join(own, "sessions")
    one, all_of_them = os.stat(os.path.join(folder, f"{session}.json")), os.stat(folder)
    return [one.st_ino, one.st_mtime_ns, all_of_them.st_ino, all_of_them.st_mtime_ns]


def _name(payload: "Mapping[str, Any]") -> str:
    """Return the name of the note for such calls: of that session, by that tool, by a helper or not; "" where it can't be one."""
    words = (payload.get("session_id"), payload.get("tool_name"), "helper" if payload.get("agent_id") else "own")
    plain = all(isinstance(word, str) and 0 < len(word) < 80 and _ID.issuperset(word) for word in words)
    return ".".join((*map(str, words), "json")) if plain else ""


def _note(path: str) -> "dict[str, Any] | None":
    try:
        found = plainjson.loads(_text(path).encode())
    except FileNotFoundError:
        return None
    return found if isinstance(found, dict) else None


def _text(path: str) -> str:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(handle, _SIZE).decode()
    finally:
        os.close(handle)


# --- what the long way leaves ------------------------------------------------------------------------------------------------


def note(
    own: str,
    session: str,
    ids: "Mapping[str, str]",
    path: str,
    payload: "Mapping[str, Any]",
    named: str,
    environ: "Mapping[str, str]",
) -> None:
    """Note what it hung on that nothing was to be said about an edit. Raises OSError.

    own: our folder of the work tree in which the session is bound.
    ids: the variables by which it is bound.
    path: the file's, as the payload has it.
    """
    from pathlib import Path

    from gitcoord.machine import files
    from gitcoord.machine.agents import AGENTS, HOOK_MARKS, MARKS, OUTER, SESSION_VARIABLES

    given = payload.get("tool_input")
    if not isinstance(given, dict) or not _name(payload):
        return
    fields = [name for name, value in given.items() if value == path]
    if len(fields) != 1:
        return
    pids = (agent.pid for agent in AGENTS.values() if agent.pid)
    names = sorted({*SESSION_VARIABLES, *OUTER.values(), *MARKS, *HOOK_MARKS, *pids, "GITCOORD_SESSION", "SUDO_UID"})
    record = {
        "path_in": fields[0], "session": session, "ids": dict(ids), "names": names, "bound": bound(own, session),
        "seen": _seen(payload, named, environ, names),
    }  # fmt: skip
    folder = files.private_folder(Path(own) / _FOLDER)
    place = folder / _name(payload)
    if files.read_json(place) != record:
        files.write_json(place, record)
        files.keep_newest(folder, 50)

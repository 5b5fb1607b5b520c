"""The hooks folder of a repository: puts gitcoord's shims in, keeps the user's own hooks beside them, gives all back.

A hook that was there is renamed to `<event>.before-gitcoord`, bytes, mode, time and all, and still runs. Only a file whose
digest says that it is as it was installed is ever replaced or deleted. Refuses: a folder outside of the repository's own,
which other repositories, or all who clone this one, share.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal

from gitcoord.errors import GitcoordError

EVENTS = ("post-commit", "post-checkout", "post-merge", "post-rewrite")
"""The hooks that tell what happened."""
GUARDS = ("pre-commit", "pre-push")
"""The hooks that may stop git: installed only for who asks."""
TRAILERS = ("commit-msg",)
"""The hook that says in a commit whose it is: installed only for who asks. Not prepare-commit-msg: with a line of ours in it, what
its author left empty would not be empty any more, and git would commit where it should give up.
"""

State = Literal["absent", "installed", "edited", "foreign"]
Change = Literal["none", "installed", "updated", "restored", "removed"]

_MADE = ".made-by-gitcoord"  # lies in a hooks folder that wasn't there before
_MARKER = re.compile(rb"\A(#![^\n]*\n# gitcoord hook \d+)(?: ([0-9a-f]{32}))?\n")
_PROGRAM = b"\nGITCOORD_PROGRAM="


@dataclass(frozen=True)
class Hook:
    """What lies in the folder for one event, and what was just done about it.

    `state`: nothing; ours; ours, changed by somebody since; not ours. `path`: the file meant, by another name where a
    hook manager put ours aside. `kept`: where the user's own hook lies; ours runs it, in the state `foreign` nobody does.
    """

    event: str
    state: State
    path: Path
    kept: Path | None = None
    change: Change = "none"


def check(folder: Path, *, common_dir: Path, guard: bool = False) -> None:
    """Raises GitcoordError unless the folder is the repository's own, wherever its symbolic links lead."""
    if not _is_inside(folder, common_dir):
        also = "; to its pre-commit: gitcoord guard --staged; to its pre-push: gitcoord guard --push" if guard else ""
        raise GitcoordError(
            f"the hooks come from {folder}, outside of this repository's git folder: everybody who shares it would get "
            "gitcoord's too",
            hint=f"add to its {EVENTS[0]}: gitcoord hook git {EVENTS[0]} </dev/null >/dev/null 2>&1 &{also}",
        )


def install(folder: Path, *, common_dir: Path, program: str = "", guard: bool = False, trailers: bool = False) -> tuple[Hook, ...]:
    """Installs the hooks where git takes them from; may run twice. `program`: gitcoord's absolute path, for a PATH that
    has none. `guard`: those that may stop git too; `trailers`: that which adds to messages; without these they stay as they are.
    Edited ones are left alone, and foreign ones where another is kept already. Raises GitcoordError.
    """
    check(folder, common_dir=common_dir, guard=guard)
    wanted = (*EVENTS, *(GUARDS if guard else ()), *(TRAILERS if trailers else ()))
    with _explained(folder):
        if not folder.is_dir():
            folder.mkdir(parents=True)
            (folder / _MADE).touch()
        return tuple(_install(folder, event, _shim(event, program)) for event in wanted)


def uninstall(folder: Path, *, common_dir: Path) -> tuple[Hook, ...]:
    """Takes all hooks out and puts back what was there. Edited and foreign ones are left alone. Where git's hooks folder
    was moved since, the repository's own is cleared as well. Raises GitcoordError.
    """
    found = []
    places = {place.resolve(): place for place in (common_dir / "hooks", folder) if _is_inside(place, common_dir)}
    for place in places.values():
        with _explained(place):
            hooks = [
                _uninstall(place, event) for event in (*EVENTS, *filter(lambda event: _is_ours(place, event), (*GUARDS, *TRAILERS)))
            ]
            if all(hook.state != "edited" for hook in hooks):
                with contextlib.suppress(OSError):  # not made by us, or no longer empty
                    (place / _MADE).unlink()
                    place.rmdir()
        found += hooks
    return tuple(found)


def status(folder: Path) -> tuple[Hook, ...]:
    """What lies in the folder. Raises GitcoordError when that can't be read."""
    with _explained(folder):
        return tuple(_look(folder, event) for event in (*EVENTS, *GUARDS, *TRAILERS))


def _is_ours(folder: Path, event: str) -> bool:
    """Whether there is anything of ours: a hook that nobody asked for is no news."""
    hook = _look(folder, event)
    return hook.state in {"installed", "edited"} or hook.kept is not None


def _install(folder: Path, event: str, shim: bytes) -> Hook:
    hook = _look(folder, event)
    if hook.state == "edited" or (hook.state == "foreign" and hook.kept):
        return hook
    if hook.state == "installed":
        if hook.path.read_bytes() == shim:
            return hook
        _write(hook.path, shim)
        return replace(hook, change="updated")
    kept = _kept(folder, event)
    if hook.state == "foreign":
        hook.path.rename(kept)
    try:
        _write(hook.path, shim)
    except BaseException:
        if hook.state == "foreign":
            kept.rename(hook.path)
        raise
    return replace(_look(folder, event), change="installed")


def _uninstall(folder: Path, event: str) -> Hook:
    hook = _look(folder, event)
    change: Change = "none"
    if hook.kept and hook.state in {"installed", "absent"}:
        hook.kept.replace(hook.path)
        change = "restored"
    elif hook.state == "installed":
        hook.path.unlink()
        change = "removed"
    return hook if change == "none" else replace(_look(folder, event), path=hook.path, change=change)


def _look(folder: Path, event: str) -> Hook:
    path, kept = folder / event, _kept(folder, event)
    found = kept if os.path.lexists(kept) else None
    renamed = folder / f"{event}.legacy"  # pre-commit and prek do so with a hook that they find, and run it
    for one in (path, renamed):
        state = _state(one)
        if state in {"installed", "edited"}:
            return Hook(event, state, one, found)
    return Hook(event, _state(path), path, found)


def _state(path: Path) -> State:
    if not os.path.lexists(path):
        return "absent"
    if path.is_symlink() or not path.is_file():
        return "foreign"
    data = path.read_bytes()
    marker = _MARKER.match(data)
    if not marker:
        return "foreign"
    intact = marker[2] == _digest(marker[1] + b"\n" + data[marker.end() :])
    return "installed" if intact else "edited"


def _kept(folder: Path, event: str) -> Path:
    return folder / f"{event}.before-gitcoord"


def _shim(event: str, program: str) -> bytes:
    """The hook as it is installed: with the program's place, and a digest by which any version knows it again."""
    text = _template(event)
    if os.path.isabs(program) and "\n" not in program:
        quoted = b"'" + os.fsencode(program).replace(b"'", b"'\\''") + b"'"
        text = text.replace(_PROGRAM + b"''", _PROGRAM + quoted, 1)
    digest = _digest(text)
    return _MARKER.sub(lambda marker: marker[1] + b" " + digest + b"\n", text)


def _template(event: str) -> bytes:
    packaged = resources.files("gitcoord") / "_hooks" / event
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).parents[2] / "hooks" / event).read_bytes()  # an editable installation


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:32].encode()


def _is_inside(folder: Path, common_dir: Path) -> bool:
    return folder.resolve().is_relative_to(common_dir.resolve())


def _write(path: Path, data: bytes) -> None:
    """Writes aside, then renames: git never meets half a hook, nor one that it may not run."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o777), "wb") as file:
            file.write(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GitcoordError(
            f"the hooks folder can't be used ({error.strerror}): {error.filename or folder}",
            hint="gitcoord hooks status --git",
        ) from error

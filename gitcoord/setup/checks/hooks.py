"""The git hooks: which are in place and by which way, whether every git comes to them, and whether they come to the program."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from gitcoord.connection.connect import Connection
from gitcoord.core.names import show
from gitcoord.errors import GitcoordError
from gitcoord.git import versions as git_versions
from gitcoord.githooks import folder, install
from gitcoord.githooks.folder import EVENTS, Hook
from gitcoord.setup.checks.finding import Finding

DESKTOP_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""What a program has that was started from a desktop: nothing of a shell's own."""

_INSTALL = "gitcoord hooks install --git"
_STATUS = "gitcoord hooks status --git"
_WAYS = {
    "folder": "in this clone's hooks folder",
    "config": "in this clone's configuration",
    "lefthook": "as commands of lefthook",
    "shared": "in hooks that others get, too",
}


def look(found: Connection) -> Iterator[Finding]:
    """All of it; changes nothing."""
    gits = git_versions.versions(found.repo.environ)
    yield from _gits(gits)
    try:
        hooks = install.status(found.repo)
    except GitcoordError as error:
        yield Finding("wrong", error.message, error.hint)
        return
    ours = [hook for hook in hooks if hook.state == "installed"]
    yield from _amiss(hooks)
    if not ours:
        yield Finding("ok", "no git hooks of gitcoord: this clone's commits are not told by themselves", _INSTALL)
        return
    for way, words in _WAYS.items():
        events = [f"{hook.event} (runs {hook.kept.name}, too)" if hook.kept else hook.event for hook in ours if hook.way == way]
        if events:
            yield Finding("ok", f"git hooks {words}: {', '.join(events)}")
    missing = [event for event in EVENTS if event not in {hook.event for hook in hooks if hook.state != "absent"}]
    if missing:
        yield Finding("warning", f"some git hooks are not there: {', '.join(missing)}", _INSTALL)
    if any(hook.way == "config" for hook in ours) and not git_versions.have_config_hooks(gits):
        old = ", ".join(place for place, version in gits.items() if version < git_versions.CONFIG_HOOKS)
        yield Finding("warning", f"a git that is found here does not run hooks from the configuration: {old}", _INSTALL)
    yield from _program(ours)


def _gits(gits: dict[str, tuple[int, ...]]) -> Iterator[Finding]:
    said = ", ".join(f"{place} ({'.'.join(map(str, version)) or 'it does not say'})" for place, version in gits.items())
    yield Finding("ok", f"git on PATH: {show(said, 500)}; one inside of an editor can't be seen from here")


def _amiss(hooks: Sequence[Hook]) -> Iterator[Finding]:
    """Hooks of ours that git doesn't run, and the users' own that ours would run and doesn't."""
    for hook in hooks:
        where = show(str(hook.path), 300)
        if hook.state == "shadowed":
            why = "lefthook put its own in front of it" if hook.path.suffix == ".old" else "core.hooksPath leads git elsewhere"
            yield Finding("warning", f"our {hook.event} is not run, for {why}: {where}", _INSTALL)
        elif hook.state == "edited":
            yield Finding(
                "warning", f"our {hook.event} was changed by somebody, so it is left alone: {where}", "gitcoord hooks status --git"
            )
        elif hook.kept and hook.state == "foreign":
            yield Finding(
                "warning",
                f"another {hook.event} was put over ours; nobody runs the older one: {show(str(hook.kept), 300)}",
                _STATUS,
            )


def _program(ours: Sequence[Hook]) -> Iterator[Finding]:
    """Whether hooks find the program where git was started from a desktop or an editor."""
    if shutil.which("gitcoord", path=DESKTOP_PATH):
        return
    lost = [hook.event for hook in ours if hook.way == "shared" or not shutil.which(folder.program_of(hook.path) or "-")]
    lost = [event for event in lost if event not in {hook.event for hook in ours if hook.way == "lefthook"}]
    if lost:
        yield Finding(
            "warning",
            "git that is started from a desktop or an editor may have too short a PATH to find gitcoord; these hooks do nothing "
            f"then: {', '.join(lost)}",
            "a link to gitcoord in /usr/local/bin is found from everywhere; or, for this clone: gitcoord hooks install --git",
        )
    else:
        yield Finding("ok", "hooks find gitcoord also with the short PATH of a desktop: its place is noted in them")

"""What hooks call: `gitcoord hook git post-commit` and the like, in the background of the user's git.

Never raises, prints or asks the network, and always ends with 0: to a coding agent 2 would mean "block". What happened
becomes a file in the spool, which the next submitter folds into a heartbeat; a detached `gitcoord sync --if-due` is started
now and then. Loads nothing but the standard library: the start is nearly the whole cost.

The shim (`hooks/tell`) hands over what HEAD was, because it moves on. While a process like this is at work, later events are left
for it as files of the work tree's own git folder: a Python for each of a hundred quick commits would slow git down.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gitcoord.core.names import LINE_LIMIT, Resource, file_in, show
from gitcoord.git import discovery, environment, process
from gitcoord.machine import background, files
from gitcoord.machine.agents import OWN_VARIABLE, SESSION_VARIABLES
from gitcoord.machine.identity import Identity, seated
from gitcoord.outbox import spool

_ACTIONS = {
    "post-commit": "committed",
    "post-checkout": "switched",
    "post-merge": "merged",
    "post-rewrite": "rewrote",
}
_SECONDS = 5.0  # a git call of ours takes 2 ms; after this long something is wrong with the repository
_FILES = 50  # as many as a heartbeat names (core/heartbeats.py, which would load pydantic)
_TRAILERS = 20  # leases that a commit's message names
_COMMENTS = "#;@!$%^&|:"  # of these git chooses for core.commentChar=auto
_TEMPLATE = 1 << 16  # bytes of a message's template
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WHO = frozenset({"GITCOORD_SESSION", *SESSION_VARIABLES})
_LAST = f"{OWN_VARIABLE}="  # begins the last line that a shim of any version writes for an event: an older one names fewer agents
_OF_ONE_CALL = frozenset({"GITCOORD_HEAD", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"})


@dataclass(frozen=True)
class _HeadPlace:
    """The work tree, and the commit and ref ("" when detached) that HEAD stands for."""

    git_dir: str
    work_tree: str
    commit: str
    ref: str


@dataclass(frozen=True)
class _Event:
    """What git called a hook for: its name and arguments, HEAD at that time, and the variables that say who did it."""

    name: str
    arguments: list[str]
    commit: str
    ref: str
    at: float
    who: Mapping[str, str]

    @property
    def branch(self) -> str:
        """The branch, "" when detached."""
        return environment.branch_of(self.ref)


def main(argv: list[str]) -> int:
    """Does what the hook is for, as far as it can; always 0."""
    with contextlib.suppress(BaseException):  # a hook never hurts (guarantee G11); what can be told is in the log
        if argv and argv[0] == "git" and os.environ.get("GITCOORD") != "0" and not os.environ.get("GITCOORD_HOOK"):
            _git(argv[1:], os.environ)
    return 0


def _git(words: list[str], environ: Mapping[str, str]) -> None:
    """A git hook: its name, then the arguments that git gave it."""
    name, *arguments = words
    if name == "commit-msg" and arguments:
        _trail(arguments[0], environ)
    if name not in _ACTIONS:
        return
    with contextlib.suppress(OSError):
        os.setsid()  # whoever ends git's process group doesn't mean this process
    place = _find(environ)
    if place is None:
        return
    folder = files.own(place.git_dir)
    if not folder.is_dir():
        return  # no session was ever here
    with contextlib.suppress(OSError):  # one at a time, where the file system can: else an older event may come last
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
    latest = 0.0
    for event in _events(name, arguments, place, environ):
        # The event that this process was started for bears the time of its start, a later one that of its file.
        latest = max(latest, event.at)
        try:
            _tell(replace(event, at=latest), place, environ)
        except Exception as error:
            spool.log(folder / "hook.log", f"{event.name}: {type(error).__name__}: {error}")
    for notice in files.notices():
        spool.log(folder / "hook.log", notice)


def _trail(path: str, environ: Mapping[str, str]) -> None:
    """Adds to the commit's message whose session makes it, and under which leases of that session on the files in it. A message
    for which git would give the commit up stays as it is.
    """
    from gitcoord.core.overlap import covers  # here: the other hooks, which are many, don't pay for it

    place = _find(environ)
    identity = _seated(place, environ) if place else None
    binding = identity.sitting(environ) if identity else None
    if place is None or identity is None or binding is None:
        return
    env = {**environment.clean_environment(environ), "GIT_DIR": place.git_dir, "GIT_WORK_TREE": place.work_tree}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    asked = _ask(env, place.work_tree, "config", "--null", "--get-regexp", r"^(core\.comment(char|string)|commit\.template)$")
    settings = dict(one.partition("\n")[::2] for one in asked.split("\0") if one)
    marks = _comment_marks(text, settings)
    template = _template(settings.get("commit.template", ""), place.work_tree, environ)
    if any(_is_given_up(text, mark, template) for mark in marks):
        return
    index = {name: environ[name] for name in ("GIT_INDEX_FILE",) if name in environ}
    staged = _ask(
        {**env, **index}, place.work_tree, "diff-index", "--cached", "--name-only", "-z", "--no-renames", "HEAD", "--"
    ).split("\0")
    names = [file_in(binding.repo, unicodedata.normalize("NFC", name)) for name in staged if name]
    said = [f"Coord-Session: {binding.session}"]
    for entry, held in identity.holding(binding.session).items():
        if held.until <= time.time():
            continue  # a commit is not made under a lease that is over
        fence, _, what = entry.partition(" ")
        with contextlib.suppress(ValueError):
            resource = Resource.read(what)
            if fence.isdigit() and len(said) <= _TRAILERS and any(covers(resource, name) for name in names):
                said.append(f"Coord-Fence: {entry}")
    words = [word for one in said for word in ("--trailer", one)]
    # What the user has set for trailers of their own (separators, commands, other words for them) is for their own.
    kept = {name: value for name, value in environment.clean_environment(environ).items() if not name.startswith("GIT_CONFIG")}
    alone = {**kept, "GIT_DIR": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    alone["GIT_CONFIG_NOSYSTEM"] = "1"
    mark = ["-c", f"core.comment{'Char' if len(marks[0]) == 1 else 'String'}={marks[0]}"]
    added = ["interpret-trailers", "--in-place", "--no-divider", "--if-exists", "addIfDifferent", *words, os.path.abspath(path)]
    _ask(alone, os.getcwd(), *mark, *added)


def _comment_marks(text: str, settings: Mapping[str, str]) -> list[str]:
    """What lines that git takes away may begin with: first what this message's comments do begin with, as far as can be told."""
    default = settings.get("core.commentchar") or "#"
    longer = settings.get("core.commentstring", "")  # git takes it from 2.45 on, and the one that was set last
    cut = re.search(r"^(.{1,40}?) -{24} >8 -{24}$", text, re.MULTILINE)
    if "auto" not in (default, longer):
        found = [*([longer] if longer else []), default]
    else:  # git chose one that no line began with
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
        found = [*([last[0]] if last[:1] and last[0] in _COMMENTS else []), *_COMMENTS]
        found += [one for one in (default, longer) if one and one != "auto"]
    return list(dict.fromkeys([*([cut[1]] if cut else []), *found]))


def _template(name: str, work_tree: str, environ: Mapping[str, str]) -> str:
    """The text that every message begins with, if the user has one."""
    if not name:
        return ""
    home = environ.get("HOME", "")
    path = os.path.join(work_tree, name.replace("~", home, 1) if name.startswith("~/") and home else name)
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read(_TEMPLATE)
    return ""


def _is_given_up(text: str, mark: str, template: str) -> bool:
    """Whether git gives up a commit with that message: it has no words beside comments, sign-offs and its template."""
    cut = re.split(rf"^{re.escape(mark)} -{{24}} >8 -{{24}}$", text, maxsplit=1, flags=re.MULTILINE)[0]
    lines, first = _words(cut, mark), _words(template, mark)
    if first and lines[: len(first)] == first:
        lines = lines[len(first) :]
    return all(line.startswith("Signed-off-by: ") for line in lines)


def _words(text: str, mark: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith(mark)]


def _events(name: str, arguments: list[str], place: _HeadPlace, environ: Mapping[str, str]) -> Iterator[_Event]:
    """What this process was called for, then what was left for it meanwhile."""
    head = environ.get("GITCOORD_HEAD")  # from the shim: the commit and ref at git's call; "left": that is in a file
    if head != "left":
        commit, _, ref = (head or "").partition(" ")
        if not _OID.fullmatch(commit):
            commit, ref = place.commit, place.ref
        yield _Event(name, arguments, commit, ref, time.time(), environ)
    if head:
        yield from _left(files.own(place.git_dir))


def _find(environ: Mapping[str, str]) -> _HeadPlace | None:
    """Where git called the hook; None outside of a work tree, or before its first commit."""
    # Here alone git's own variables count: they say which repository is meant.
    meant = {name: environ[name] for name in ("GIT_DIR", "GIT_WORK_TREE") if name in environ}
    env = {**environment.clean_environment(environ), **meant}
    lines = _ask(
        env, os.getcwd(), "rev-parse", "--absolute-git-dir", "--show-toplevel", "HEAD", "--symbolic-full-name", "HEAD"
    ).split("\n")
    if len(lines) != 5:  # the last one is empty
        return None
    git_dir, work_tree, commit, ref = lines[:4]
    return _HeadPlace(os.path.realpath(git_dir), os.path.realpath(work_tree), commit, ref)


def _seated(place: _HeadPlace, environ: Mapping[str, str]) -> Identity:
    return seated(place.git_dir, discovery.git_dirs(discovery.common(place.git_dir)), environ)


def _left(folder: Path) -> Iterator[_Event]:
    """The events that shims have left, oldest first, until there are none; each is gone once it is dealt with."""
    mark = folder / "at-work"
    while True:
        found = _take(folder)
        if not found:
            mark.unlink(missing_ok=True)  # before the last look: who has seen the mark had left its event by then
            found = _take(folder)
            if not found:
                return
        for path, event in found:
            files.write(mark, b"%d" % os.getpid())  # a fresh one: others may rely on this process
            if event:
                yield event
            path.unlink(missing_ok=True)


def _take(folder: Path) -> list[tuple[Path, _Event | None]]:
    """The event files that are whole, oldest first; None for what can't be read."""
    found = []
    for path in folder.glob("event.*"):
        with contextlib.suppress(FileNotFoundError):
            at = path.stat().st_mtime
            lines = (files.read_bytes(path) or b"").decode("utf-8", "surrogateescape").split("\n")
            whole = len(lines) > len(_WHO) + 1 or any(line.startswith(_LAST) for line in lines[1:-1])
            if whole:  # else its shim is still writing: it starts another process if need be
                found.append((at, _number(path), path, _read(lines, at)))
    return [(path, event) for *_, path, event in sorted(found, key=lambda one: one[:2])]


def _number(path: Path) -> int:
    """The number of the shim's process: it tells two of the same tick of the file system's clock apart."""
    text = path.name.split(".")[1]
    return int(text) if text.isascii() and text.isdigit() else 0


def _read(lines: list[str], at: float) -> _Event | None:
    name, _, rest = lines[0].partition(" ")
    commit, ref, *arguments = rest.split(" ") if rest.count(" ") else ("", "")
    if name not in _ACTIONS or not _OID.fullmatch(commit):
        return None
    pairs = (line.partition("=") for line in lines[1:])
    who = {key: value for key, _, value in pairs if key in _WHO and value}
    return _Event(name, arguments, commit, ref, at, who)


def _tell(event: _Event, place: _HeadPlace, environ: Mapping[str, str]) -> None:
    """Spools the event if a session sits in this work tree, then has its outbox flushed."""
    identity = _seated(place, event.who)
    binding = identity.sitting(event.who)
    entry = _describe(event, place, environ, binding.repo) if binding else None
    if binding and entry:
        spool.heartbeat(binding, entry)
        # What was claimed for its edits by itself is over with the commit: others wait for it.
        _sync(place, environ, now=(identity.mailbox(binding.session) / "claimed.json").exists())


def _describe(event: _Event, place: _HeadPlace, environ: Mapping[str, str], repo: str) -> dict[str, object] | None:
    """The entry for the spool; None when nothing has happened. `repo`: what the names of files begin with."""
    env = {**environment.clean_environment(environ), "GIT_DIR": place.git_dir, "GIT_WORK_TREE": place.work_tree}
    target, names = event.branch or event.commit[:12], list[str]()
    if event.name == "post-commit":
        target, *names = _commit(env, place, event.commit)
    elif event.name == "post-merge" and event.arguments != ["1"]:  # 1: squashed, so HEAD is what it was
        target = _commit(env, place, event.commit)[0]  # the files of a merge were touched by others
    elif event.name == "post-checkout":
        old, new, flag = [*event.arguments, "", "", ""][:3]
        if flag == "0" or (old == new and not _has_moved(env, place, event)):  # only files; or nothing
            return None
    return {
        "at": spool.stamp(event.at),
        "action": _ACTIONS[event.name],
        "target": show(target, LINE_LIMIT),
        "files": [file_in(repo, name) for name in names[:_FILES]],
        "branch": event.branch,
        "commit": event.commit,
    }


def _commit(env: Mapping[str, str], place: _HeadPlace, commit: str) -> list[str]:
    """The commit's subject, then its files; of a merge only those that it has otherwise than every parent (-c)."""
    words = ["diff-tree", "--root", "--always", "-r", "-c", "-z", "--no-renames", "--name-only", "--pretty=oneline"]
    said, *names = _ask(env, place.work_tree, *words, commit).split("\0")
    return [said.partition(" ")[2], *filter(None, names)]


def _has_moved(env: Mapping[str, str], place: _HeadPlace, event: _Event) -> bool:
    """Whether a checkout that stayed on its commit led to another branch: so says HEAD's reflog."""
    for line in _ask(env, place.work_tree, "log", "-g", "-10", "--format=%H %gs", "HEAD", "--").splitlines():
        match = re.fullmatch(r"(\w+) checkout: moving from (\S+) to (\S+)", line)
        if match and match[1] == event.commit and match[2] != match[3] and event.branch in {"", match[3]}:
            return True
    return False


def _ask(env: Mapping[str, str], cwd: str, *words: str) -> str:
    """The output of a git that only reads, "" when it fails."""
    done = process.run([environment.program(), *process.ALWAYS, *words], env=env, cwd=cwd, seconds=_SECONDS)
    return done.stdout.decode("utf-8", "surrogateescape") if done.ok else ""


def _sync(place: _HeadPlace, environ: Mapping[str, str], *, now: bool = False) -> None:
    """Has it sent in the background. `now`: at once, whatever went before."""
    kept = {name: value for name, value in environment.outside(environ).items() if name not in _OF_ONE_CALL}
    background.begin(files.own(discovery.common(place.git_dir)), place.work_tree, kept, now=now)

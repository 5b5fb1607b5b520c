"""The story of two sessions, told with real repositories in a throw-away folder, in a few seconds.

The clock of the story starts in the past and is moved by hand, so that a lease can expire without anybody waiting; it ends at
the real time, so that even a check against the remote's own clock holds.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

from gitcoord.connection.connect import Connection, connect
from gitcoord.core.names import Resource
from gitcoord.core.times import spell
from gitcoord.errors import GitcoordError
from gitcoord.git.sandbox import Sandbox
from gitcoord.githooks import folder as hooks_folder
from gitcoord.setup.init import init
from gitcoord.views.tree import BOARD

Line = tuple[str, str]
"""What kind of line (say, do, see) and its text."""


@dataclass
class Stage:
    """Two clones of one bare remote, and a clock that is set by hand."""

    folder: Path
    environ: dict[str, str]
    sandbox: Sandbox
    now: datetime
    clones: dict[str, Path] = field(default_factory=dict)

    @contextmanager
    def at(self, name: str) -> Iterator[Connection]:
        """A session's own connection, from its own clone."""
        with connect(str(self.clones[name]), self.environ, now=lambda: self.now, witness=lambda: self.now) as found:
            yield found

    def pass_time(self, minutes: int) -> None:
        """Moves the clock on."""
        self.now += timedelta(minutes=minutes)


@contextmanager
def _stage(environ: Mapping[str, str]) -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="gitcoord-demo-"))
    try:
        keep = {name: value for name, value in environ.items() if name in {"PATH", "LANG", "TMPDIR", "SYSTEMROOT", "PYTHONPATH"}}
        home = folder / "home"
        home.mkdir()
        (home / "gitconfig").write_text("[user]\n\tname = Demo\n\temail = demo@example.org\n[init]\n\tdefaultBranch = main\n")
        sealed = {**keep, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
                  "GIT_CONFIG_NOSYSTEM": "1"}  # fmt: skip
        start = (datetime.now(UTC) - timedelta(minutes=130)).replace(microsecond=0)
        stage = Stage(folder, sealed, Sandbox(sealed), start)
        stage.sandbox.bare(folder / "remote.git")
        for name in ("ada", "ben"):
            stage.clones[name] = folder / name
            stage.sandbox.clone(folder / "remote.git", folder / name)
            if name == "ada":
                stage.sandbox.commit(folder / name, "app.py", "print('hello')\n", "first")
        yield stage
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def story(environ: Mapping[str, str]) -> Iterator[Line]:
    """Tells it line by line, as it happens."""
    with _stage(environ) as stage:
        app = [Resource("file", "app.py")]
        yield "say", "A bare remote and two clones of it, as on two machines. Nothing else: no server, no database."
        yield "do", "ada$ gitcoord init"
        with stage.at("ada") as found:
            _, words = init(found)
            yield "see", words
        for name, work in (("ada", "the landing page"), ("ben", "the tests")):
            yield "do", f'{name}$ gitcoord start {name} --work "{work}"'
            with stage.at(name) as found:
                _, receipt = found.coordinator.sessions.start(name, work=work)
                yield "see", f"session {name} (event {receipt.seq})"
        stage.pass_time(1)
        yield "do", "ada$ gitcoord claim app.py --phase BUILD"
        with stage.at("ada") as found:
            held = found.coordinator.claims.acquire(app, phase="BUILD")
            yield "see", f"held: file:app.py until {spell(held.claims[0].expires_at)} (fence {held.claims[0].fence})"
        yield "do", "ben$ gitcoord claim app.py"
        with stage.at("ben") as found:
            try:
                found.coordinator.claims.acquire(app)
            except GitcoordError as error:
                yield "see", f"error: {error.message}   (exit {error.exit_code})"
                yield "see", f"hint: {error.hint.partition(' | or ')[0]}"
        yield "do", 'ben$ gitcoord send ada "May I have app.py when you are done?" --type question'
        with stage.at("ben") as found:
            found.coordinator.messages.send("ada", None, "May I have app.py when you are done?", type="question")
            yield "see", "sent to ada"
        stage.pass_time(2)
        yield "do", "ada$ gitcoord inbox"
        with stage.at("ada") as found:
            messages, _, _ = found.coordinator.messages.inbox()
            for one in messages:
                yield "see", f"#{one.seq} {spell(one.timestamp)} {one.sender} ({one.type}): {one.subject}"
        stage.pass_time(60)
        yield "say", "An hour passes. Ada's machine is closed: nobody renews her lease, and it expires."
        stage.pass_time(60)
        yield "do", 'ben$ gitcoord claim app.py --reason "adding tests"'
        with stage.at("ben") as found:
            held = found.coordinator.claims.acquire(app, reason="adding tests")
            yield (
                "see",
                f"took file:app.py over from ada ({held.taken[0].split(' ')[2]}), held until {spell(held.claims[0].expires_at)}",
            )
        stage.pass_time(1)
        yield "do", "ada$ gitcoord renew app.py        (her machine is back)"
        with stage.at("ada") as found:
            try:
                found.coordinator.claims.renew(app)
            except GitcoordError as error:
                yield "see", f"error: {error.message}   (exit {error.exit_code})"
        yield from _commit(stage)
        yield "do", 'ben$ gitcoord release app.py --done "tests are green" --tests pass --next PRODUCTION'
        with stage.at("ben") as found:
            found.coordinator.claims.release(app, done="tests are green", tests="pass", next_phase="PRODUCTION")
            yield "see", "released: file:app.py; told to all, and ready to pick up"
        with stage.at("ada") as found:
            verdict = found.coordinator.branch.verify()
            board = found.coordinator.branch.board()
        agree = "agree" if verdict.ok else "do NOT agree"
        yield "say", f"Every step is a commit; there are {verdict.commits}, and history, tree and board {agree}."
        yield "do", f"$ git show origin/coordination:{BOARD}"
        for line in board.splitlines():
            yield "see", line
        yield "do", "$ git log --format='%h %an: %s' --reverse origin/coordination"
        for line in stage.sandbox.git(
            "log", "--format=%h %an: %s", "--reverse", "origin/coordination", where=stage.clones["ada"]
        ).splitlines():
            yield "see", line


def _commit(stage: Stage) -> Iterator[Line]:
    """A commit in ben's clone, which heartbeats by itself through a real git hook."""
    clone = stage.clones["ben"]
    with stage.at("ben") as found:
        hooks_folder.install(Path(found.repo.hooks_dir()), common_dir=Path(found.repo.common_dir), program=_shim(stage))
        spool = found.outbox.path / "spool" / "ben"
    (clone / "app.py").write_text("print('hello, world')\n")
    yield "do", "ben$ gitcoord hooks install --git && git commit -am 'Greet the world'"
    stage.sandbox.git("commit", "-q", "-am", "Greet the world", where=clone)
    end = monotonic() + 10
    while not list(spool.glob("*.json")) and monotonic() < end:
        sleep(0.02)
    yield "see", "the commit returns at once; its heartbeat waits in the outbox and rides along with the next push"


def _shim(stage: Stage) -> str:
    """A `gitcoord` for the hook to call, since the demo may run where none is on the PATH; nothing in the background."""
    shim = stage.folder / "bin" / "gitcoord"
    shim.parent.mkdir()
    path = os.pathsep.join(entry for entry in sys.path if entry)
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec {shlex.quote(sys.executable)} -m gitcoord "$@"\n')
    shim.chmod(0o755)
    return str(shim)

"""The one door to the git program: absolute path, argument lists, a clean environment, no prompt, a hard deadline.

Our git never runs the user's hooks, never starts a garbage collection, never asks for a password on a terminal, and no process of
it outlives the deadline: it gets a session of its own, and the whole group is ended. Apart from that it is the user's git: their
credentials, their askpass program and the configuration in their environment are passed on, and what we set only narrows.

Every child of git is a `GitChild`: `run` takes one to its end, a `Conversation` asks one again and again. A child that dies, stalls
or answers short is a fault (`GitFault`).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from gitcoord.errors import Damaged, GitcoordError, GitFault, mask

PATIENCE = 20.0
"""Seconds without a byte in or out after which a git that asks nobody else counts as stalled."""
_LONGEST = 3600.0  # seconds that such a git may take in all, however busy it is
_TICK = 0.5  # seconds between two calls of `tick`
_LEFT_OPEN = 1.0  # seconds that a silent pipe is waited for, once the git that had it is gone: some child of it keeps it open
_CHUNK = 1 << 16
_WRITE = 1 << 1  # selectors.EVENT_WRITE


ALWAYS = (
    "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.fsmonitor=false",
    "-c", "protocol.version=2", "-c", "safe.bareRepository=explicit",
    "-c", "i18n.logOutputEncoding=UTF-8", "-c", "advice.detachedHead=false", "-c", "log.showSignature=false",
    "-c", "advice.graftFileDeprecated=false",
)  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """A finished child. `returncode` is negative for a signal; `in_time` is False when the deadline ended it; `fed` is False when
    it ended before it had taken its whole input.
    """

    returncode: int
    stdout: bytes
    stderr: bytes
    in_time: bool = True
    fed: bool = True

    @property
    def ok(self) -> bool:
        """True if it took all of its input and ended by itself with 0."""
        return self.returncode == 0 and self.in_time and self.fed

    @property
    def ended_itself(self) -> bool:
        """True if it was neither killed nor too slow: then its exit code is git's own."""
        return self.returncode >= 0 and self.in_time

    @property
    def how(self) -> str:
        """How it ended, for a person: its own words, if it has any."""
        if not self.in_time:
            return "no answer in time"
        if self.returncode < 0:
            return f"it was ended by signal {-self.returncode}"
        return self.words or ("it ended before it had read its input" if not self.fed else f"exit code {self.returncode}")

    @property
    def words(self) -> str:
        """What it said on stderr, for a person: the last lines, made safe by whoever prints it."""
        text = mask(self.stderr.decode("utf-8", "replace")).strip()
        return " / ".join(line.strip() for line in text.splitlines()[-10:] if line.strip())


class GitChild:
    """A running git with its three pipes, none of which ever blocks us. Its stderr is kept in `err` (the newest of it), or thrown
    away. Whoever starts one ends it.
    """

    def __init__(
        self, argv: list[str], *, env: Mapping[str, str], cwd: str, feed: bytes = b"", asked: bool = False, heard: bool = True
    ) -> None:
        """`asked`: its input stays open, and `send` adds to it; else it is exactly `feed`. `heard`: its stderr is kept."""
        import selectors
        import subprocess  # here: hooks that need no git load this file, too

        self._asked = asked
        self._feed = memoryview(feed)
        self.out, self.err = bytearray(), bytearray()
        self._finished: Finished | None = None
        try:
            self._child = subprocess.Popen(
                argv, env=dict(env), cwd=cwd, start_new_session=True, close_fds=True, bufsize=0,
                stdin=subprocess.PIPE if feed or asked else subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if heard else subprocess.DEVNULL,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise GitcoordError(f"{error.filename} is gone", hint="cd into a repository") from error
        self._waits = selectors.PollSelector() if hasattr(selectors, "PollSelector") else selectors.DefaultSelector()
        for stream, kept in ((self._child.stdout, self.out), (self._child.stderr, self.err)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._waits.register(stream, selectors.EVENT_READ, kept)
        if self._child.stdin is not None:
            os.set_blocking(self._child.stdin.fileno(), False)
            self._offer()

    @property
    def fed(self) -> bool:
        """True if it has taken all that it was given."""
        return not self._feed

    @property
    def is_open(self) -> bool:
        """True if there is a pipe left that something can go through."""
        return bool(self._waits.get_map())

    @property
    def is_silent(self) -> bool:
        """True if nothing more can come: it has closed its output."""
        return not any(key.data is not None for key in self._waits.get_map().values())

    def send(self, data: bytes) -> None:
        """Gives it more to read; `move` carries that over."""
        self._feed = memoryview(bytes(self._feed) + data)
        self._offer()

    def send_all(self, data: bytes) -> None:
        """Gives it the rest of what it is to read; its input then ends."""
        self._asked = False
        self.send(data)

    def _offer(self) -> None:
        stdin = self._child.stdin
        if stdin is None or stdin.closed:
            return
        if self._feed and stdin not in self._waits.get_map():
            self._waits.register(stdin, _WRITE, None)
        elif not self._feed and not self._asked:
            self._stop_feeding()

    def _stop_feeding(self) -> None:
        stdin = self._child.stdin
        if stdin is not None and not stdin.closed:
            if stdin in self._waits.get_map():
                self._waits.unregister(stdin)
            with contextlib.suppress(OSError):
                stdin.close()

    def move(self, seconds: float) -> bool:
        """Carries over what can be carried within that time, in both directions; True if anything was, or a pipe was closed."""
        ready = self._waits.select(seconds)
        for key, _ in ready:
            if key.data is None:
                try:
                    self._feed = self._feed[os.write(key.fd, self._feed[:_CHUNK]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:  # it reads no more: how it ends says why
                    self._stop_feeding()
                    continue
                if not self._feed:
                    self._waits.unregister(key.fileobj)
                    self._offer()
                continue
            try:
                data = os.read(key.fd, _CHUNK)
            except BlockingIOError:
                continue
            key.data.extend(data)
            if len(self.err) > 2 * _CHUNK:
                del self.err[:-_CHUNK]
            if not data:
                self._waits.unregister(key.fileobj)
        return bool(ready)

    def ended(self, seconds: float) -> bool:
        """Waits that long for its end; True if it is over."""
        if self._child.poll() is None and seconds > 0:
            self._await_end(seconds)
        return self._child.poll() is not None

    def _await_end(self, seconds: float) -> None:
        # Popen.wait(seconds) sleeps, and twice as long each time: half of the time that a git takes to end came on top of it.
        from select import POLLIN, poll
        from subprocess import TimeoutExpired

        try:
            ending = os.pidfd_open(self._child.pid)
        except (AttributeError, OSError):  # no Linux, or an old one
            with contextlib.suppress(TimeoutExpired):
                self._child.wait(seconds)
            return
        try:
            waits = poll()
            waits.register(ending, POLLIN)
            waits.poll(seconds * 1000)
        finally:
            os.close(ending)

    def hang_up(self) -> None:
        """Says that nothing more is asked; most then end at once, by themselves."""
        self._stop_feeding()
        self.ended(1.0)

    def close(self, *, in_time: bool = True) -> Finished:
        """Ends it with its whole group, if it is still there, and says how it ended. Only the first call does anything."""
        if self._finished is not None:
            return self._finished
        self._stop_feeding()
        # TERM first: git removes its lock files on it, and a stale ref lock on a file remote blocks everybody.
        for sign, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
            if self._child.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, sign)
            until = monotonic() + patience
            while (left := until - monotonic()) > 0 and self._child.poll() is None:
                if self.is_silent or not self.move(min(left, 0.02)):  # it may have to get rid of something before it can end
                    self.ended(min(left, 0.02))
        # The leader is gone; whatever of its group stayed behind goes too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        while not self.is_silent and self.move(0):
            pass
        self._waits.close()
        for stream in (self._child.stdout, self._child.stderr):
            if stream:
                stream.close()
        code = self._child.returncode
        self._finished = Finished(-9 if code is None else code, bytes(self.out), bytes(self.err), in_time, self.fed)
        return self._finished


def run(
    argv: list[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    stdin: bytes = b"",
    seconds: float | None = None,
    idle: float = PATIENCE,
    tick: Callable[[], None] | None = None,
    begun: GitChild | None = None,
) -> Finished:
    """Runs a child to its end or to the deadline; then the whole process group is ended, children included.

    The deadline is `seconds` from now; without, it is `idle` seconds after the last byte that went in or out: a git that asks
    nobody else may take as long as it has something to do. `tick` is called about twice a second meanwhile: a submitter shows by
    it that it is alive. `begun`: the child, where it was started before anybody knew its input (`asked`): it loads meanwhile.
    """
    start = monotonic()
    moved = told = start
    child = begun or GitChild(argv, env=env, cwd=cwd, feed=stdin)
    in_time = True
    try:
        if begun is not None:
            begun.send_all(stdin)
        while True:
            now = monotonic()
            end = start + max(0.0, seconds) if seconds is not None else min(moved + idle, start + _LONGEST)
            if now >= end:
                in_time = False
                break
            if tick and now - told >= _TICK:
                tick()
                told = now
            pause = min(end - now, _TICK)
            if not child.is_open:
                if child.ended(pause):
                    break
            elif child.move(pause):
                moved = monotonic()
            elif now - moved >= _LEFT_OPEN and child.ended(0):
                break
    except BaseException:
        child.close()
        raise
    return child.close(in_time=in_time)


class Conversation:
    """A git that is asked and answers, again and again. With its first fault it is ended, and raises GitFault from then on."""

    def __init__(
        self, argv: list[str], *, env: Mapping[str, str], cwd: str, idle: float = PATIENCE, tick: Callable[[], None] | None = None
    ) -> None:
        self._child = GitChild(argv, env=env, cwd=cwd, asked=True, heard=False)
        self._idle = idle
        self._tick = tick
        self._over = ""

    def send(self, data: bytes) -> None:
        """Asks; the answers may be read at once."""
        self._child.send(data)

    def line(self) -> bytes:
        """Its next line, without the end of it."""
        at = self._child.out.find(b"\n")
        while at < 0:
            before = len(self._child.out)
            self._more()
            at = self._child.out.find(b"\n", before)
        data = self.take(at + 1)
        return data[:-1]

    def take(self, count: int) -> bytes:
        """Its next so many bytes."""
        while len(self._child.out) < count:
            self._more()
        data = bytes(memoryview(self._child.out)[:count])
        del self._child.out[:count]
        return data

    def has_more(self) -> bool:
        """True if it has said more than it was asked for, as far as can be seen now."""
        return bool(self._child.out)

    def _more(self) -> None:
        if self._over:
            raise GitFault(self._over, hint="run the same command again")
        begun = told = monotonic()
        try:
            while not self._child.is_silent:
                now = monotonic()
                if now - begun >= self._idle:
                    self._end(f"git did not answer in {self._idle:.0f} s", stalled=True)
                if self._tick and now - told >= _TICK:
                    self._tick()
                    told = now
                before = len(self._child.out), self._child.fed
                self._child.move(min(_TICK, self._idle - (now - begun)))
                if len(self._child.out) > before[0]:
                    return
                if self._child.fed and not before[1]:
                    begun = monotonic()
        except GitFault:
            raise
        except BaseException:
            self.close()
            raise
        self._end("git ended before it had answered")

    def _end(self, words: str, *, stalled: bool = False) -> None:
        self._over = words
        if self._child.close().returncode > 0 and not stalled:  # its own decision: it can't read what it was asked for
            raise Damaged(words, hint="git fsck, then gitcoord doctor")
        raise GitFault(words, hint="run the same command again", stalled=stalled)

    def close(self) -> None:
        """Ends it."""
        if not self._over:
            self._over = "git was ended"
            self._child.hang_up()
            self._child.close()

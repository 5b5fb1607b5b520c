"""A command as `run` starts it: its own process group, the terminal handed over, signals passed on, an end whatever happens."""

from __future__ import annotations

import ctypes
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from types import FrameType, TracebackType
from typing import Any

from gitcoord.cli.run import reaper

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)  # passed on to all of the command's processes
TELLING = (signal.SIGUSR1, signal.SIGUSR2)  # passed on to the command alone: those without a handler would die of it
_PR_SET_CHILD_SUBREAPER = 36  # of Linux: what loses its parent comes to this process
_POLL = 0.05  # seconds between two looks whether a group that was told to end is gone
_LAST = 2.0  # seconds after KILL until one that can't even be killed (in a system call) is left behind


class Signals:
    """What is sent to this process while it holds something: noted, and found by whoever waits.

    What was ignored at the start (by `nohup`, or in a shell's background) stays ignored, also in the command.
    """

    def __init__(self) -> None:
        self.noted: list[int] = []
        self.came = 0  # the first that was sent to end it, also after it was passed on; 0: none
        self.asking = True  # until the command is there: a second signal then ends the waiting for an answer
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        for number in (*ENDING, *TELLING, signal.SIGTSTP, signal.SIGCONT):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asking and number in ENDING and self.ending:
            raise KeyboardInterrupt
        if number in ENDING and not self.came:
            self.came = number
        self.noted.append(number)

    def settle(self) -> None:
        """Only note what comes from here on: nobody waits for an answer any more."""
        self.asking = False

    def note(self, number: int) -> None:
        """Notes it as if it had been sent."""
        self.noted.append(number)
        os.write(self._write, b"\0")

    @property
    def ending(self) -> int:
        """The first that was sent to end it; 0: none."""
        return next((number for number in self.noted if number in ENDING), 0)

    def wait(self, seconds: float) -> list[int]:
        """Waits for a signal, that long at most; those that were noted."""
        select.select([self._read], [], [], max(0.0, seconds))
        with suppress(BlockingIOError):
            os.read(self._read, 4096)
        noted, self.noted = self.noted, []
        return noted


def missing(words: Sequence[str], folder: str | None, environ: Mapping[str, str]) -> tuple[int, str] | None:
    """Why the command can't be run, with the exit code that shells give it: 127 not found, 126 not a program; None: it can."""
    name = words[0]
    place = os.path.join(folder or "", name) if "/" in name else name
    if shutil.which(place, path=environ.get("PATH", os.defpath)):
        return None
    if "/" in name and os.path.exists(place):
        return 126, f"{name} is a folder" if os.path.isdir(place) else f"{name} is not a program that may be run"
    return 127, f"there is no command {name}"


class ProcessMarks:
    """What tells the processes of a command from this one's own. Made before this one starts any."""

    def __init__(self) -> None:
        nonce = secrets.token_hex(8)
        self.command, self.own = nonce, f"own-{nonce}"
        self._before = os.environ.get(reaper.MARKS, "")
        os.environ[reaper.MARKS] = f"{self._before}:{self.own}:"
        with suppress(Exception):  # where there is no such thing, what loses its parent is known by its mark alone
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @property
    def environ(self) -> dict[str, str]:
        """For the command."""
        return {reaper.MARKS: f"{self._before}:{self.command}:"}


class Child:
    """The command while it runs. `code` is its exit code, 128 and the signal's number if it died of one; None while it runs."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: str | None,
        environ: Mapping[str, str],
        signals: Signals,
        marks: ProcessMarks,
        kill_after: float,
        output: int | None = None,
        alone: bool = True,
    ) -> None:
        """Starts it. Raises OSError.

        - `output`: the descriptor that it prints to, where that isn't standard output.
        - `alone`: False where it is one of several: it reads nothing, and the terminal stays with this process, so that an
          interrupt there ends them all.
        """
        self.code: int | None = None
        self.left_behind = False
        self._signals = signals
        self._marks = marks
        self._all = False
        self._kill_after = kill_after
        self._kill_at: float | None = None
        self._killed = False
        self._terminal = _terminal()
        self._stopping_self = False
        self._later: list[int] = []
        self._in_front = alone
        try:
            self._process = subprocess.Popen(
                list(words), cwd=folder, env={**environ, **marks.environ}, process_group=0, stdout=output,
                stdin=None if alone else subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            self._close_terminal()
            raise
        self.group = self._process.pid
        if alone:
            self._hand_over()
        try:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", reaper.__file__, str(self.group), str(kill_after), marks.command],
                cwd="/", env={},
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError:
            self.stop()
            while not self._is_over():
                self.wait(_POLL)
            self._take_back()
            self._close_terminal()
            raise

    def wait(self, seconds: float) -> bool:
        """Waits that long at most, passing on what is sent; whether the command and what it left in its group are gone.

        CONT comes back at once and is passed on with the next call: whoever was stopped looks first whether he still holds it.
        """
        for number in self._later:
            self._pass_on(number)
        self._later = []
        if not self._is_over():
            noted = self._signals.wait(seconds if self._kill_at is None else min(seconds, _POLL))
            self._later = [number for number in noted if number == signal.SIGCONT]
            for number in noted:
                if number != signal.SIGCONT:
                    self._pass_on(number)
        return not self._later and self._is_over()

    def stop(self, *, all_of_it: bool = False) -> None:
        """Tells the whole group to end; KILL follows when its time is over. `all_of_it`: also what has left the group."""
        if all_of_it and not self._all:
            self._all = True
            reaper.send_each(self.strays(), signal.SIGTERM)
        if self._kill_at is None:
            self._kill_at = monotonic() + self._kill_after
            reaper.ask_to_end(self.group)

    def strays(self) -> dict[int, str]:
        """Return what the command has started, has left its group and still lives: names by pid."""
        helpers = frozenset({self._reaper.pid})
        return reaper.strays(self.group, self._marks.command, owner=os.getpid(), own=self._marks.own, helpers=helpers)

    def close(self) -> None:
        """Ends whatever is left, and takes the terminal back."""
        try:
            self.stop()
            while not self._is_over():
                self.wait(_POLL)
        finally:
            assert self._reaper.stdin
            with suppress(OSError):
                self._reaper.stdin.write(b"o")
                self._reaper.stdin.flush()
            self._reaper.stdin.close()
            self._reaper.wait()
            self._take_back()
            self._close_terminal()

    # --- its end -----------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        self._collect()
        if self.code is None:
            self._kill_in_time()
            return False
        if not reaper.is_there(self.group):
            return not (self._all and self.strays()) or self._kill_in_time()
        if self._kill_at is None:
            self.left_behind = True
            self.stop()
        return self._kill_in_time()

    def _kill_in_time(self) -> bool:
        """KILL, once it is time for that; True when even that was long ago."""
        if self._kill_at is None or monotonic() < self._kill_at:
            return False
        if not self._killed:
            self._killed = True
            reaper.send(self.group, signal.SIGKILL)
            if self._all:
                reaper.send_each(self.strays(), signal.SIGKILL)
        return monotonic() > self._kill_at + _LAST

    def _collect(self) -> None:
        while self.code is None:
            pid, status = os.waitpid(self._process.pid, os.WNOHANG | os.WUNTRACED)
            if not pid:
                return
            if os.WIFSTOPPED(status):
                self._is_stopped(os.WSTOPSIG(status))
                continue
            code = os.waitstatus_to_exitcode(status)
            self._process.returncode = code
            self.code = code if code >= 0 else 128 - code

    def _pass_on(self, number: int) -> None:
        if self.code is not None:
            return
        if number in ENDING or number == signal.SIGTSTP:
            reaper.send(self.group, number)
            self._stopping_self = number == signal.SIGTSTP
        elif number in TELLING:
            os.kill(self._process.pid, number)
        elif number == signal.SIGCONT:
            if self._in_front:
                self._hand_over()
            reaper.send(self.group, signal.SIGCONT)

    # --- the terminal: the command's group has it as long as it runs in the foreground, as a shell would do it ---------

    def _foreground(self) -> int:
        """The terminal's foreground group; 0 where there is no terminal."""
        try:
            return os.tcgetpgrp(self._terminal) if self._terminal >= 0 else 0
        except OSError:
            return 0

    def _hand_over(self) -> None:
        if self._foreground() == os.getpgrp():
            self._give(self.group)

    def _take_back(self) -> None:
        if self._foreground() == self.group:
            self._give(os.getpgrp())

    def _give(self, group: int) -> None:
        # Whoever isn't in the foreground may set it only while TTOU is blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        with suppress(OSError):
            os.tcsetpgrp(self._terminal, group)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _close_terminal(self) -> None:
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def _is_stopped(self, number: int) -> None:
        """The command was stopped. On a terminal this process stops with it, so that the shell around it goes on."""
        if self._kill_at is not None:
            reaper.send(self.group, signal.SIGCONT)
            return
        if self._terminal < 0 and not self._stopping_self:
            return  # somebody stopped the command alone, and will let it go on
        if number in {signal.SIGTTIN, signal.SIGTTOU} and self._foreground() == os.getpgrp():
            self._hand_over()  # it was begun in the background, and the shell has put it in front
            reaper.send(self.group, signal.SIGCONT)
            return
        self._stopping_self = False
        self._take_back()
        # The job that the shell knows stops, this process last. By TSTP, not STOP: where no shell could let it go on, it has no
        # effect, and all goes on at once.
        before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        if self._terminal >= 0:
            reaper.send(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        self._signals.note(signal.SIGCONT)  # by `fg`, `bg`, or since it didn't stop at all


def _terminal() -> int:
    """The controlling terminal, for this process alone; -1: there is none."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return -1

"""The person's own command, run when a message asks for it: the message on standard input, nothing of it on the command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from gitcoord.connection.connect import utc_now
from gitcoord.errors import BadInput
from gitcoord.machine import files

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM")
_LOG = 4 << 20  # bytes of the log; then the older half goes
_ENDS = 10.0  # seconds between telling it to end and ending it


class Reaction:
    """Runs one at a time, within a time limit; what it prints goes to a log that only this user can read."""

    def __init__(self, command: str, limit: float, *, folder: str, log: Path, environ: Mapping[str, str]) -> None:
        """`limit` in seconds. Raises BadInput where the command can't be run."""
        try:
            self._words = shlex.split(command)
        except ValueError:
            raise BadInput("--exec takes a command as a shell would read it, and this one has an open quote") from None
        if not self._words or not shutil.which(self._words[0], path=environ.get("PATH")):
            raise BadInput("the command of --exec can't be found", hint="give its whole path")
        self._limit = limit
        self._folder = folder
        self._log = log
        # Neither the relay's secrets nor whose session or agent this is: a session that it starts is its own.
        self._environ = {key: environ[key] for key in environ if key in _KEPT or key.startswith(("LC_", "XDG_"))}
        self._child: subprocess.Popen[bytes] | None = None
        self._until = 0.0
        self._told = False

    def start(self, message: Mapping[str, Any]) -> None:
        """Starts it. What can't be started is noted in the log."""
        self._note(f"message {message.get('seq')}: {shlex.join(self._words)}")
        try:
            with tempfile.TemporaryFile() as text, self._opened() as log:
                text.write(json.dumps(message, ensure_ascii=True).encode() + b"\n")
                text.seek(0)
                self._child = subprocess.Popen(
                    self._words, stdin=text, stdout=log, stderr=log, cwd=self._folder, env=self._environ, start_new_session=True
                )
        except OSError as error:
            self._note(f"it can't be run: {error.strerror}")
            return
        self._until, self._told = monotonic() + self._limit, False

    def busy(self) -> bool:
        """Whether it still runs; past its time it is told to end, and then ended."""
        child = self._child
        if child is None:
            return False
        if child.poll() is not None:
            self._note(f"exit code {child.returncode}")
            self._child = None
            return False
        if monotonic() > self._until:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL if self._told else signal.SIGTERM)
            self._note("its time is over: it was " + ("ended" if self._told else "told to end"))
            self._told, self._until = True, monotonic() + _ENDS
        return True

    def close(self) -> None:
        """Ends what still runs."""
        if self._child is not None and self._child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGTERM)
            self._note("the relay ends: it was told to end")

    def _opened(self) -> Any:
        return files.open_log(self._log)

    def _note(self, text: str) -> None:
        with suppress(OSError):
            files.append(self._log, f"--- {utc_now():%Y-%m-%dT%H:%M:%SZ} {text}\n".encode(), limit=_LOG)

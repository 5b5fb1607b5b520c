"""A warm process for tests: hooks and what they start are forked from it, as they would be on a machine where work goes on."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitcoord.warm import address, client, confinement

PATIENCE = 60.0  # seconds: only a hang gets there


def why_none() -> str:
    """Why there can be no warm process here; "" where there can be one."""
    if not address.start_text(os.environ):
        return "a variable says what Python loads"
    return "" if confinement.of("self") is not None else "this system doesn't tell how a process is confined"


@contextmanager
def warm_process() -> Iterator[Path]:
    """Start one, if there can be one; yield the folder by which `GITCOORD_WARM` names it. It ends with the context."""
    with tempfile.TemporaryDirectory(prefix="warm-", dir="/tmp") as name:  # a socket's path is short
        environ = {**os.environ, address.SWITCH: name}
        if why_none():
            yield Path(name)
            return
        client.start(environ)
        socket, end = Path(address.socket_path(environ)), time.monotonic() + PATIENCE
        while not socket.exists():
            assert time.monotonic() < end, "the warm process never came up"
            time.sleep(0.01)
        yield Path(name)
        client.end(environ)

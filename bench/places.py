"""Where it is measured: a sealed environment, a real remote of each kind, and a forwarder that makes the way to it longer."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from environment import seal
from remotes import Remote, RemoteFactory

GIT = shutil.which("git") or "git"


@dataclass
class Place:
    """A folder for everything, the sealed environment, and the makers of remotes and clones."""

    folder: Path
    env: dict[str, str]
    remotes: RemoteFactory

    def git(self, where: Path, *words: str, stdin: str = "") -> str:
        """Runs git; it must succeed."""
        done = subprocess.run(
            [GIT, *words], cwd=where, env=self.env, check=True, input=stdin, capture_output=True, text=True, timeout=600
        )
        return done.stdout

    def clone(self, remote: Remote, name: str) -> Path:
        """A clone of the remote."""
        path = self.folder / name
        self.git(self.folder, "clone", "-q", *remote.flags, *_kept(remote), remote.url, str(path))
        return path

    def remote(self, kind: str, *, trip: float = 0.0) -> Remote:
        """A remote of that kind, `trip` seconds there and back away."""
        remote = self.remotes.make(kind)
        if not trip or remote.forwarder is None:
            return remote
        far = Distance(remote.forwarder.port, trip)
        return replace(remote, url=remote.url.replace(f":{remote.forwarder.port}", f":{far.port}", 1))

    def outbox(self, name: str) -> dict[str, str]:
        """The environment of a machine of its own."""
        return {**self.env, "GITCOORD_DESK": str(self.folder / "outboxes" / name)}


def _kept(remote: Remote) -> list[str]:
    return [word for name, value in remote.config.items() for word in ("-c", f"{name}={value}")]


@contextmanager
def place() -> Iterator[Place]:
    """A place of its own, in memory where there is room: what is compared is programs, not disks."""
    shared = Path("/dev/shm")
    room = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 << 30
    folder = Path(tempfile.mkdtemp(prefix="gitcoord-bench-", dir=shared if room else None))
    env = seal(os.environ, folder / "home")
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    factory = RemoteFactory(folder / "remotes")
    try:
        yield Place(folder, env, factory)
    finally:
        factory.close()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


class Distance:
    """A loopback port that passes every byte on half a round trip later; making a connection costs a whole one."""

    def __init__(self, target: int, trip: float) -> None:
        self._target, self._half = ("127.0.0.1", target), trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._target)
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened = time.monotonic() + 2 * self._half  # the handshake that the client's connect() didn't wait for
            self._carry(client, server, opened)
            self._carry(server, client, opened)

    def _carry(self, source: socket.socket, sink: socket.socket, opened: float) -> None:
        queue: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

        def read() -> None:
            while True:
                try:
                    data = source.recv(1 << 16)
                except OSError:
                    data = b""
                queue.put((max(time.monotonic(), opened) + self._half, data))
                if not data:
                    return

        def write() -> None:
            while True:
                due, data = queue.get()
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)
                except OSError:
                    return

        for work in (read, write):
            threading.Thread(target=work, daemon=True).start()

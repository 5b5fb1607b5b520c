"""A connection that breaks at a chosen byte: a loopback port before a server, counting, cutting and stalling.

It stands directly before the server, so that each side feels the break as the kernel tells it: an end, or a reset.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import Literal

from remotes import LOOPBACK, hold_port, port_of

Direction = Literal["to server", "to client"]
Mode = Literal["close", "reset", "stall"]
DIRECTIONS: tuple[Direction, ...] = ("to server", "to client")

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST and throws away what was not sent


class Cutter:
    """Passes connections on to a server's port until the armed byte was passed.

    Bytes are counted over all connections since `arm` or `watch`. Only the connection that reaches the byte breaks; what
    comes later passes freely (a client that sends its request once more reaches the server), or not at all (`alone`).

    One thread a connection, for both directions: what is cut is closed at once, no other thread can be waiting on it.
    """

    def __init__(self, target: int) -> None:
        self._target = (LOOPBACK, target)
        self._hold = hold_port()
        self.port = port_of(self._hold)
        self._lock = threading.Lock()
        self._open = 0
        self._closed = False
        self.watch()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((LOOPBACK, self.port))
        self._listener.listen(128)
        threading.Thread(target=self._take, daemon=True, name=f"cutter-{self.port}").start()

    def arm(self, direction: Direction, after: int, mode: Mode, *, alone: bool = False) -> None:
        """From now on: breaks the connection on which byte number `after` passes in that direction.

        A request breaks as soon as that byte has passed (0: as soon as the connection is there), an answer when the next
        byte comes: then the server has done its work, and nobody hears of it. `alone`: nobody gets through any more
        after that, until `watch` or `arm`.
        """
        with self._lock:
            self._reset()
            self._armed = (direction, after, mode, alone)

    def watch(self) -> None:
        """From now on: counts, and breaks nothing. What is stalled stays so."""
        with self._lock:
            self._reset()

    def _reset(self) -> None:
        self._armed: tuple[Direction, int, Mode, bool] | None = None
        self._shut = False
        self.fired = False
        self.connections = 0
        self._heard: dict[Direction, bytearray] = {direction: bytearray() for direction in DIRECTIONS}
        self._passed: dict[Direction, int] = dict.fromkeys(DIRECTIONS, 0)

    def passed(self, direction: Direction) -> int:
        """How many bytes were passed on."""
        with self._lock:
            return self._passed[direction]

    def heard(self, direction: Direction) -> bytes:
        """What was said in that direction up to the break, passed on or not."""
        with self._lock:
            return bytes(self._heard[direction])

    @property
    def open(self) -> int:
        """How many connections a client still keeps open."""
        return self._open

    def close(self) -> None:
        """Takes no more connections, and gives the port back."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept; it closes
        self._hold.close()

    def _take(self) -> None:
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:
                    if self._closed:
                        return
                    continue  # that one client gave up
                threading.Thread(target=self._serve, args=(client,), daemon=True, name="serve").start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            shut = self._shut
            self.connections += 1
            self._open += 1
        try:
            if shut:
                _end(client, "reset")
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _end(client, "close")
                return
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                mode = self._carry(client, server)
            except OSError:
                mode = "close"
            for sock in (client, server):
                _end(sock, mode)
        finally:
            with self._lock:
                self._open -= 1

    def _carry(self, client: socket.socket, server: socket.socket) -> Mode:
        """Carries both directions until the connection ends by itself or breaks; how it is to be ended."""
        ways: dict[int, tuple[socket.socket, socket.socket, Direction]] = {
            client.fileno(): (client, server, "to server"),
            server.fileno(): (server, client, "to client"),
        }
        stalled: set[Direction] = set()
        waiting = select.poll()
        for number in ways:
            waiting.register(number, select.POLLIN)
        _, broken = self._judge("to server", b"")
        if broken == "stall":
            stalled.add("to server")
        elif broken is not None:
            return broken
        while ways:
            for number, _ in waiting.poll():
                source, sink, direction = ways[number]
                data = source.recv(65536)
                if not data:
                    # That a client has ended is told also on a stalled connection: nobody is there any more.
                    if direction == "to server" or direction not in stalled:
                        with contextlib.suppress(OSError):
                            sink.shutdown(socket.SHUT_WR)
                    waiting.unregister(number)
                    del ways[number]
                    continue
                if direction in stalled:
                    continue
                data, broken = self._judge(direction, data)
                if data:
                    sink.sendall(data)
                if broken == "stall":
                    stalled.add(direction)
                elif broken is not None:
                    return broken
        return "close"

    def _judge(self, direction: Direction, data: bytes) -> tuple[bytes, Mode | None]:
        """What of it may pass, and how the connection breaks after that (None: it doesn't)."""
        with self._lock:
            self._heard[direction] += data
            mode: Mode | None = None
            if self._armed is not None and not self.fired and self._armed[0] == direction:
                room = self._armed[1] - self._passed[direction]
                if (direction == "to server" and len(data) >= room) or len(data) > room:
                    data, mode = data[:room], self._armed[2]
                    self.fired, self._shut = True, self._armed[3]
            self._passed[direction] += len(data)
            return data, mode


def _end(sock: socket.socket, mode: Mode) -> None:
    with contextlib.suppress(OSError):
        if mode == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        else:
            sock.shutdown(socket.SHUT_RDWR)
    sock.close()

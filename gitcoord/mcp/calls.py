"""Calls of an agent: carried out one after the other, each in a thread; one that only waits for others lets the next one in.

Whoever gives up a call ends its wait at once, and only its wait: what is under way is finished, as no half of it may be left.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

from gitcoord.errors import NotInTime

_LOOK = 0.1  # seconds between two looks whether a call that waits for its turn was given up
_SOON = 0.02  # seconds between two looks whether the last call has ended
_AT_ONCE = 64  # calls that may be open: nearly all of them wait for somebody
PULSE = 10.0  # seconds between two signs of life to a client whose call takes long

T = TypeVar("T")


class Patience:
    """One call: whether it was given up, and its turn among the others."""

    def __init__(self, turn: threading.Lock) -> None:
        self.gone = threading.Event()
        self._turn = turn

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The call's turn. Raises KeyboardInterrupt when it was given up before."""
        while not self._turn.acquire(timeout=_LOOK):
            if self.gone.is_set():
                raise KeyboardInterrupt
        try:
            if self.gone.is_set():
                raise KeyboardInterrupt
            yield
        finally:
            self._turn.release()

    def rest(self, seconds: float) -> None:
        """Passes seconds in which others have their turn. Raises KeyboardInterrupt when the call was given up."""
        self._turn.release()
        try:
            gone = self.gone.wait(seconds)
        finally:
            self._turn.acquire()
        if gone:
            raise KeyboardInterrupt


class Calls:
    """The calls of one server."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._open: set[Patience] = set()
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._is_over = False

    async def run(self, work: Callable[[Patience], T], tick: Callable[[], Awaitable[None]] | None = None) -> T:
        """What the work gives, or raises. Cancelled, it ends when the work has ended. `tick` is called while it takes long."""
        if self._is_over:
            raise NotInTime("the server ends", hint="make the same call again")
        patience = Patience(self._turn)
        done = anyio.Event()
        given: list[T] = []
        failed: list[BaseException] = []

        def carry() -> None:
            try:
                with patience.turn():
                    given.append(work(patience))
            except BaseException as error:  # handed over to the caller, whatever it is
                failed.append(error)

        async def finish() -> None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(carry, limiter=self._limiter)
            done.set()

        self._open.add(patience)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(finish)
                try:
                    while not done.is_set():
                        with anyio.move_on_after(PULSE):
                            await done.wait()
                        if tick is not None and not done.is_set():
                            await tick()
                finally:
                    patience.gone.set()
        finally:
            self._open.discard(patience)
        if failed:
            if isinstance(failed[0], KeyboardInterrupt):
                raise NotInTime("the call was given up", hint="make the same call again")
            raise failed[0]
        return given[0]

    async def stop(self) -> None:
        """Ends all waits, and returns when no call is open any more."""
        self._is_over = True
        for patience in list(self._open):
            patience.gone.set()
        while self._open:
            await anyio.sleep(_SOON)

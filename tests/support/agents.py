"""Agents for tests: the SDK's own client, talking to the real server over its standard input and output."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from clones import PATIENCE, Seat
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

LONG = ("--timeout", "100s")  # a wait that ends only when what it waits for is there


@dataclass(frozen=True)
class Said:
    """The answer to a call: whether it is an error, its words, and its record."""

    failed: bool
    text: str
    record: dict[str, Any]


@dataclass
class Agent:
    """A client and its server."""

    client: Client
    log: Path = field(default_factory=Path)

    meta: dict[str, Any] | None = None
    """What it says with each call besides."""

    async def call(self, tool: str, **given: Any) -> Said:
        """Calls a tool. The SDK holds what it gives against the schema."""
        arguments = {"from" if key == "from_" else key: value for key, value in given.items()}
        meta: Any = self.meta
        result = await self.client.call_tool(tool, arguments, meta=meta)
        [content] = result.content
        assert content.type == "text"
        assert isinstance(result.structured_content, dict)
        return Said(bool(result.is_error), content.text, result.structured_content)

    async def ok(self, tool: str, **given: Any) -> dict[str, Any]:
        """Calls a tool that must succeed; its record."""
        said = await self.call(tool, **given)
        assert not said.failed, said
        return said.record

    async def read(self, uri: str) -> str:
        """A resource's text."""
        [content] = (await self.client.read_resource(uri)).contents
        text = getattr(content, "text", None)
        assert isinstance(text, str)
        return text


@asynccontextmanager
async def serving(seat: Seat, *args: str, cwd: Path | None = None, legacy: bool = False, **client: Any) -> AsyncIterator[Agent]:
    """An agent in that seat, its server started with those arguments; a traceback in the server's log is a bug."""
    who = ["--session", seat.session] if seat.session else []
    log = seat.outbox.parent / f"server-{seat.path.name}-{os.urandom(4).hex()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w+") as errors:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "gitcoord", *who, "mcp", *args], env=seat.env, cwd=cwd or seat.path
        )
        try:
            async with Client(stdio_client(server, errlog=errors), mode="legacy" if legacy else "auto", **client) as made:
                yield Agent(made, log)
        finally:
            assert "Traceback" not in log.read_text()


def play(story: Callable[[], Awaitable[None]]) -> None:
    """Plays a story to its end; only a hang gets to the limit."""

    async def limited() -> None:
        with anyio.fail_after(PATIENCE):
            await story()

    anyio.run(limited)


async def until(true: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Waits for it; only a hang gets to the end."""
    with anyio.move_on_after(PATIENCE):
        while not await true():
            await anyio.sleep(0.05)
        return
    raise AssertionError(otherwise)

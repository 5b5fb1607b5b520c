"""The protocol's lines on standard input and output, as the SDK wants them.

A request that the SDK can't read gets no answer from it, and its caller waits for ever: it is answered here, with an error. What
was given to an agent is known to be given only when its line was written: who wants to know is told then.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from pydantic import ValidationError

from gitcoord.core.names import show

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_VALUE = re.compile(r'\s*:\s*(-?\d{1,30}(?![\d.eE])|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})){0,200}")')


class Wire:
    """Both ends. While it is open, whatever else is printed by this process or its children misses the protocol's output."""

    def __init__(self, written: Callable[[str], None]) -> None:
        """`written` is called with each line once it is out, in the thread that wrote it. Raises OSError."""
        self._written = written
        self._in = os.fdopen(_taken(0, os.open(os.devnull, os.O_RDONLY)), "rb", closefd=False)
        self._out = os.fdopen(_taken(1, os.dup(2)), "wb", closefd=False)
        self._turn = anyio.Lock()

    def __aiter__(self) -> AsyncIterator[str]:
        """Return the lines that the SDK can read, and those that nobody waits for an answer to."""
        return self._lines()

    async def _lines(self) -> AsyncIterator[str]:
        async for data in anyio.wrap_file(self._in):
            why = unreadable(data)
            asked = asker(data) if why else ""
            if asked:
                error = {"code": types.INVALID_REQUEST, "message": f"this request can't be read: {why}"}
                await self.write(f'{{"jsonrpc":"2.0","id":{asked},"error":{json.dumps(error)}}}\n')
            else:
                yield data.decode("utf-8", "replace")

    async def write(self, text: str) -> None:
        """Write a line."""
        async with self._turn:
            await anyio.to_thread.run_sync(self._put, text)

    async def flush(self) -> None:
        """Nothing: each line goes out at once."""

    def _put(self, text: str) -> None:
        self._out.write(text.encode("utf-8", "backslashreplace"))
        self._out.flush()
        self._written(text)


def _taken(number: int, instead: int) -> int:
    """Return a descriptor for what that one was for; `instead` takes its place."""
    mine = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(instead, number)
    os.close(instead)
    return mine


def unreadable(data: bytes) -> str:
    """Return why that line is no message of the protocol; "" for one that is."""
    try:
        types.jsonrpc_message_adapter.validate_json(data.decode("utf-8"), by_name=False)
    except UnicodeDecodeError as error:
        return f"it is not valid UTF-8 at byte {error.start}"
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return show(str(first["msg"]), 200)
    except (ValueError, RecursionError) as error:
        return show(str(error), 200)
    return ""


def asker(data: bytes) -> str:
    """Return the id under which that request wants its answer, as JSON; "" if it is none, or has no id. The line need not be JSON:
    it is looked through for what stands at its top.
    """
    text = data.decode("utf-8", "replace")
    depth, found, asks = 0, "", False
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
        elif depth == 1 and mark == '"id"' and (value := _VALUE.match(text, token.end())):
            found = value[1]
        elif depth == 1 and mark == '"method"' and text[token.end() : token.end() + 20].lstrip().startswith(":"):
            asks = True
    return found if asks and text.lstrip().startswith("{") else ""

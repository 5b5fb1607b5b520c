"""The page on 127.0.0.1, for the person at this machine alone: it changes as the branch does.

The address has a token, so that neither another user of the machine nor a page of another site can ask. A request that names
another host is refused, since a name that anybody chose may lead here. No other site is allowed to read an answer. Without a writer
nothing can be changed through it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gitcoord.errors import GitcoordError
from gitcoord.page.assets import assets
from gitcoord.page.live import Live
from gitcoord.views import page

ADDRESS = "127.0.0.1"
Writer = Callable[[str, Mapping[str, str]], dict[str, Any]]
"""Carries out what a person wrote: `reply`, `respond` or `send`, with its fields. Raises GitcoordError."""

_FIELDS = {"reply": {"id", "text"}, "respond": {"id", "answer", "text"}, "send": {"to", "subject", "text"}}
_LARGEST = 128 * 1024  # bytes of what is written
_TICK = 0.25  # seconds within which a change is told
_PULSE = 60  # ticks between two signs of life


@dataclass(frozen=True)
class Site:
    """What is served. `port`: where; `writer` None: nothing can be written."""

    live: Live
    token: str
    port: int
    writer: Writer | None = None

    @property
    def url(self) -> str:
        """Return the page's address."""
        return f"http://{ADDRESS}:{self.port}/{self.token}/"

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            Route("/{token}/", self._page),
            Route("/{token}/data", self._data),
            Route("/{token}/events", self._events),
            *([Route("/{token}/{what}", self._write, methods=["POST"])] if self.writer else []),
        ]
        return Starlette(routes=routes)

    def _refusal(self, request: Request) -> Response | None:
        """Return why a request is not answered; None where it is."""
        if request.headers.get("host") not in {f"{ADDRESS}:{self.port}", f"localhost:{self.port}"}:
            return PlainTextResponse("this page is served to this machine alone", 421, self._headers())
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return PlainTextResponse("no other site may ask", 403, self._headers())
        if not secrets.compare_digest(str(request.path_params["token"]).encode(), self.token.encode()):
            return PlainTextResponse("not found", 404, self._headers())
        return None

    def _headers(self) -> dict[str, str]:
        return {
            "Content-Security-Policy": page.policy(assets(), live=True) + "; frame-ancestors 'none'",
            "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
        }  # fmt: skip

    async def _page(self, request: Request) -> Response:
        mode = "write" if self.writer else "live"
        text = page.document(assets(), self.live.data, title=self.live.title, mode=mode)
        return self._refusal(request) or Response(text, headers=self._headers(), media_type="text/html; charset=utf-8")

    async def _data(self, request: Request) -> Response:
        return self._refusal(request) or PlainTextResponse(self.live.data, headers=self._headers())

    async def _events(self, request: Request) -> Response:
        refused = self._refusal(request)
        return refused or StreamingResponse(self._changes(), headers=self._headers(), media_type="text/event-stream")

    async def _changes(self) -> AsyncIterator[str]:
        """Yield a line at each change, and a sign of life now and then."""
        told, ticks = -1, 0
        while self.live.failed is None:
            if self.live.turn != told:
                told = self.live.turn
                yield f"data: {told}\n\n"
            ticks += 1
            if not ticks % _PULSE:
                yield ": here\n\n"
            await anyio.sleep(_TICK)

    async def _write(self, request: Request) -> Response:
        refused = self._refusal(request)
        if refused is not None:
            return refused
        origin = {f"http://{ADDRESS}:{self.port}", f"http://localhost:{self.port}"}
        plain = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        if request.headers.get("origin") not in origin or not plain:
            return PlainTextResponse("only this page may write", 403, self._headers())
        what, body = str(request.path_params["what"]), b""
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST:
                return self._told({"message": "that is too long"}, 413)
        fields: Any = None
        with contextlib.suppress(ValueError):
            fields = json.loads(body)
        if what not in _FIELDS or not isinstance(fields, dict) or set(fields) - _FIELDS[what]:
            return self._told({"message": "that is nothing to write"}, 400)
        if not all(isinstance(value, str) for value in fields.values()):
            return self._told({"message": "that is nothing to write"}, 400)
        assert self.writer is not None
        try:
            return self._told(await run_in_threadpool(self.writer, what, fields), 200)
        except GitcoordError as error:
            return self._told({"message": error.message, "hint": error.hint or ""}, 409)

    def _told(self, record: dict[str, Any], code: int) -> Response:
        return JSONResponse(record, code, self._headers())


def door(port: int) -> socket.socket:
    """Return a socket of this machine alone, on that port (0: any that is free). Raises OSError."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.bind((ADDRESS, port))
        found.listen(64)  # from here on whoever asks waits, and is answered once the server runs
    except OSError:
        found.close()
        raise
    return found


def serve(site: Site, at: socket.socket) -> None:
    """Serve until somebody ends it."""
    config = uvicorn.Config(
        site.app(), log_config=None, access_log=False, server_header=False, lifespan="off", ws="none", http="h11", loop="asyncio",
        timeout_graceful_shutdown=1, limit_concurrency=64,
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[at])

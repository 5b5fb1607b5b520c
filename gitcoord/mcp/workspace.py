"""Where the agent works: the folder that was named, else the one that the server was started in, else a root of the client's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from gitcoord.errors import BadInput

_ASKED = "roots"
_WITHIN = 5.0  # seconds for the client to name its roots

Params = types.CallToolRequestParams | types.ReadResourceRequestParams


class Workspace:
    """The folder of one server. The client is asked for its roots once, and again when it says that they changed."""

    def __init__(self, named: str) -> None:
        self._named = os.path.abspath(named) if named else ""
        self._roots: list[str] | None = None

    def known(self) -> str:
        """The folder, as far as it is known without asking anybody. Raises BadInput when it is gone."""
        return self._named or choose(_here(), self._roots or [])

    def forget(self) -> None:
        """The client's roots have changed."""
        self._roots = None

    async def find(self, context: ServerRequestContext[Any], params: Params) -> str | types.InputRequiredResult:
        """The folder; or, where the client is only asked by an answer, that question."""
        if not self._named and self._roots is None:
            capable = context.session.client_capabilities
            if capable is None or capable.roots is None:
                self._roots = []
            elif context.session.can_send_request:
                self._roots = await _ask(context)
            else:
                given = (params.input_responses or {}).get(_ASKED)
                if not isinstance(given, types.ListRootsResult):
                    return types.InputRequiredResult(input_requests={_ASKED: types.ListRootsRequest()})
                self._roots = folders(given)
        return self.known()


async def _ask(context: ServerRequestContext[Any]) -> list[str]:
    with anyio.move_on_after(_WITHIN):
        try:
            return folders(await context.session.send_request(types.ListRootsRequest(), types.ListRootsResult))
        except MCPError:
            return []
    return []


def folders(given: types.ListRootsResult) -> list[str]:
    """The folders among the roots."""
    found = []
    for root in given.roots:
        parts = urlsplit(str(root.uri))
        path = unquote(parts.path)
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and "\0" not in path and os.path.isdir(path):
            found.append(os.path.abspath(path))
    return found


def choose(here: str, roots: Sequence[str]) -> str:
    """Where the server stands, if that lies within a root, or there is none; else the first root."""
    inside = any(os.path.commonpath([os.path.realpath(root), os.path.realpath(here)]) == os.path.realpath(root) for root in roots)
    return here if inside or not roots else roots[0]


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BadInput("the folder that the server was started in is gone", hint="start it again in a clone") from None

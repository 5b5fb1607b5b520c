"""Where the agent works, and as which session of its own.

The folder that was named, else the one that the server was started in, else a root of the client's. Of a client that starts its
servers in a plugin's folder, or runs several sessions in one process, each call says more, or gitcoord's hooks have noted it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from gitcoord.errors import BadInput
from gitcoord.machine import whereabouts
from gitcoord.machine.agents import AGENTS, agent_ids

_ASKED = "roots"
_CODEX_TURN = "x-codex-turn-metadata"
_WITHIN = 5.0  # seconds for the client to name its roots

Params = types.CallToolRequestParams | types.ReadResourceRequestParams


class Workspace:
    """The folder of one server. The client is asked for its roots once, and again when it says that they changed."""

    def __init__(self, named: str) -> None:
        self._named = os.path.abspath(named) if named else ""
        self._roots: list[str] | None = None

    def known(self, meta: Any = None) -> str:
        """The folder, as far as it is known without asking anybody. `meta`: what the call says besides. Raises BadInput when it is
        gone, and where the server stands in a plugin's folder and nothing tells the project.
        """
        if self._named:
            return self._named
        here, environ = _here(), os.environ
        if not _is_plugins(here, environ):
            return choose(here, self._roots or [])
        ids = agent_ids(environ_of(meta, environ)).values()
        told = [*_workspaces(meta), *(value for name, value in environ.items() if name.endswith("_PROJECT_DIR"))]
        told += [*(whereabouts.find(one, environ) for one in ids), *(self._roots or [])]
        found = next((folder for folder in told if os.path.isabs(folder) and os.path.isdir(folder)), "")
        if not found:
            raise BadInput(
                "this server was started in its plugin's folder, and nothing tells which project is meant",
                hint="gitcoord hooks install --agent NAME, then start the agent again; or gitcoord -C FOLDER mcp",
            )
        return found

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
        return self.known(params.meta)


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


def environ_of(meta: Any, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the variables of the agent's session that makes the call, where the call says which.

    Codex runs many threads in one process, and starts its servers without a thread's variables; each call has its own.
    """
    turn = _table(_table(meta).get(_CODEX_TURN))
    session = _table(meta).get("sessionId") or turn.get("session_id") or _table(meta).get("threadId")
    if not turn or not isinstance(session, str):
        return environ
    return {**environ, AGENTS["codex"].variable: session, AGENTS["codex"].outer: session}


def _workspaces(meta: Any) -> list[str]:
    return [folder for folder in _table(_table(_table(meta).get(_CODEX_TURN)).get("workspaces")) if isinstance(folder, str)]


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_plugins(here: str, environ: Mapping[str, str]) -> bool:
    """Whether that folder is a plugin's, and so no project's."""
    roots = [os.path.realpath(value) for name, value in environ.items() if name.endswith("PLUGIN_ROOT") and os.path.isabs(value)]
    return any(os.path.commonpath([root, os.path.realpath(here)]) == root for root in roots)


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BadInput("the folder that the server was started in is gone", hint="start it again in a clone") from None

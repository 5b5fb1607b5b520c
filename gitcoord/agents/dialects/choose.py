"""Which agent called, so which dialect is spoken: named, else told by what was sent, else by the environment. Pure.

Each dialect is loaded only when it is the one: a hook pays for nothing that it doesn't use. Loads the standard library only.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, get_args

from gitcoord.agents.dialects.base import Dialect
from gitcoord.agents.hook.event import Kind
from gitcoord.machine.agents import AGENTS, HOOK_MARKS

NAMES = tuple(agent.name for agent in AGENTS.values() if agent.variable)
"""What `--agent` may say; behind `antigravity` and a colon also the event."""

_GEMINI = frozenset({"BeforeTool", "AfterTool", "BeforeAgent", "AfterAgent", "BeforeModel", "AfterModel", "PreCompress"})
_ANTIGRAVITY = frozenset({"PreInvocation", "PostInvocation"})
_TRANSCRIPTS = (
    ("/rollout-", "codex"),
    ("/.claude/", "claude"),
    ("/.qwen/", "qwen"),
)  # at a start Codex names no turn: there only this tells the two apart
_STEPS = frozenset(get_args(Kind))
_ROOMS = {
    "claude": ("claude", "Claude"),
    "codex": ("claude", "Codex"),
    "copilot": ("claude", "Copilot"),
    "copilot-native": ("claude", "CopilotNative"),
    "cursor": ("cursor", "Cursor"),
    "gemini": ("google", "Gemini"),
    "antigravity": ("google", "Antigravity"),
    "opencode": ("plain", "Opencode"),
    "amp": ("plain", "Amp"),
    "qwen": ("claudelike", "Qwen"),
    "droid": ("claudelike", "Droid"),
    "vscode": ("claudelike", "VsCode"),
    "tabnine": ("google", "Tabnine"),
    "cline": ("guarded", "Cline"),
    "goose": ("guarded", "Goose"),
    "kiro": ("guarded", "Kiro"),
    "windsurf": ("guarded", "Windsurf"),
    "generic": ("plain", "Plain"),
    "": ("plain", "UnknownAgent"),
}


def choose(payload: Mapping[str, Any], environ: Mapping[str, str], named: str = "") -> Dialect:
    """Return the dialect of who called; one that takes nothing where that isn't known. An unknown name counts as none given."""
    name, _, event = named.partition(":")
    if name not in NAMES:
        name, event = _told(payload) or _around(payload, environ), ""
    if name == "copilot" and "hook_event_name" not in payload:
        name = "copilot-native"
    return _made(name, event)


def _told(payload: Mapping[str, Any]) -> str:
    """The agent that only can have sent this; "" when several could."""
    event = payload.get("hook_event_name")
    if "cursor_version" in payload:
        return "cursor"
    if "turn_id" in payload:
        return "codex"
    if isinstance(event, str) and event in _GEMINI:
        return "gemini"
    if (isinstance(event, str) and event in _ANTIGRAVITY) or "conversationId" in payload:
        return "antigravity"
    if "hookEventName" in payload:
        return "vscode"
    if "agent_action_name" in payload:
        return "windsurf"
    if "hookName" in payload and "taskId" in payload:
        return "cline"
    if event is None and "sessionId" in payload:
        return "copilot"
    if event is None and isinstance(payload.get("event"), str) and payload["event"] in _STEPS:
        return "generic"
    written = payload.get("transcript_path")
    return next((name for part, name in _TRANSCRIPTS if isinstance(written, str) and part in written), "")


def _around(payload: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The agent that the environment speaks for. Agents run inside agents: the session's own id tells best."""
    session = payload.get("session_id")
    for agent in AGENTS.values():
        if agent.hook_has_id and session and environ.get(agent.variable) == session:
            return agent.name
    # The transcript that isn't: only Codex has sessions that leave none.
    if payload.get("transcript_path", "") is None or any(name.startswith("CODEX_") for name in environ):
        return "codex"
    return next((name for variable, name in HOOK_MARKS.items() if environ.get(variable)), "")


def _made(name: str, event: str) -> Dialect:
    room, kind = _ROOMS[name]
    made = getattr(importlib.import_module(f"gitcoord.agents.dialects.{room}"), kind)
    dialect: Dialect = made(event) if name == "antigravity" else made()
    return dialect

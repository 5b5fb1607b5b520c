"""Each agent's words: what it sends to a hook, and what it reads of the answer. Pure; loads the standard library only.

Field names, limits and exit codes are those of the agents' own documents and packages of November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitcoord.faces.agents.occasion import Answer, Kind, Occasion

_KINDS: dict[str, Kind] = {
    "SessionStart": "start",
    "UserPromptSubmit": "prompt",
    "PreToolUse": "before-edit",
    "PostToolUse": "after-edit",
    "Stop": "stop",
    "SessionEnd": "end",
    "PreCompact": "compact",
}
_PATHS = ("file_path", "notebook_path")


@dataclass(frozen=True)
class Dialect:
    """How one agent speaks."""

    name: str

    def read(self, payload: Mapping[str, Any], environ: Mapping[str, str]) -> Occasion:
        """What the agent called for."""
        event = _text(payload.get("hook_event_name"))
        given = payload.get("tool_input")
        tool = given if isinstance(given, dict) else {}
        name = _text(payload.get("session_id"))
        return Occasion(
            kind=_KINDS.get(event, "other"),
            agent="claude-code",
            agent_id=name,
            ids=(("CLAUDE_CODE_SESSION_ID", name),) if name else (),
            place=_text(payload.get("cwd")) or environ.get("CLAUDE_PROJECT_DIR", ""),
            event=event,
            source=_text(payload.get("source")) or _text(payload.get("reason")),
            paths=tuple(path for path in (_text(tool.get(key)) for key in _PATHS) if path),
            subagent=bool(payload.get("agent_id")),
            nagged=payload.get("stop_hook_active") is True,
            key=_text(payload.get("tool_use_id")) or _text(payload.get("prompt_id")),
        )

    def write(self, occasion: Occasion, answer: Answer) -> str:
        """What is printed: a JSON object, or nothing."""
        said: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        if answer.context:
            extra["additionalContext"] = answer.context
        if answer.verdict and occasion.kind == "before-edit":
            extra |= {"permissionDecision": answer.verdict, "permissionDecisionReason": answer.reason}
        if extra:
            said["hookSpecificOutput"] = {"hookEventName": occasion.event, **extra}
        if answer.note:
            said["systemMessage"] = answer.note
        return json.dumps(said) if said else ""


def choose(payload: Mapping[str, Any], environ: Mapping[str, str], named: str = "") -> Dialect:
    """The dialect of who called: named, else told by what was sent, else by the environment."""
    return Dialect(named or "claude")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

"""Cursor: its own events, and those of Claude Code that it imports. Pure; standard library only.

Field names are those of its SDK's bundle of November 2026. The person's e-mail address, which is in every payload, is
read by nobody here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitcoord.agents.dialects import claude, fields
from gitcoord.agents.dialects.base import Dialect, specific
from gitcoord.agents.hook.event import HookAnswer, Kind, Occasion
from gitcoord.machine.agents import AGENTS, Agent

_OWN: Mapping[str, Kind] = {
    "sessionStart": "start",
    "beforeSubmitPrompt": "prompt",
    "preToolUse": "before-edit",
    "postToolUse": "after-edit",
    "stop": "stop",
    "sessionEnd": "end",
    "preCompact": "compact",
}


class Cursor(Dialect):
    """Cursor: context only as a session starts and after a tool; a stop goes on with a message."""

    row: ClassVar[Agent] = AGENTS["cursor"]
    projects: ClassVar[tuple[str, ...]] = ("CURSOR_PROJECT_DIR", "CLAUDE_PROJECT_DIR")
    kinds: ClassVar[Mapping[str, Kind]] = {**_OWN, **claude.EVENTS}
    tools: ClassVar[frozenset[str]] = claude.TOOLS | {"StrReplace", "Delete", "EditNotebook"}
    contexts: ClassVar[frozenset[str]] = frozenset({"sessionStart", "postToolUse", "stop", "SessionStart", "PostToolUse", "Stop"})

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """Its own words; for an imported event those of Claude Code beside them, since its hooks are answered in these."""
        said: dict[str, Any] = {}
        if answer.verdict:
            said = {"permission": answer.verdict, "user_message": answer.note or answer.reason, "agent_message": answer.reason}
        if answer.go_on:
            said["followup_message"] = answer.context
        elif answer.context:
            said["additional_context"] = answer.context
        if said and occasion.event in claude.EVENTS:
            said |= specific(occasion, answer, context=not answer.go_on)
        return said

    def session(self, payload: Mapping[str, Any]) -> str:
        """The conversation's id, which its shells have."""
        return fields.name(payload.get("conversation_id")) or fields.name(payload.get("session_id"))

    def place(self, payload: Mapping[str, Any], environ: Mapping[str, str], paths: tuple[str, ...]) -> str:
        """The tool's folder; of several roots the one that the edited file lies in, else the first."""
        roots = [root for root in fields.texts(payload.get("workspace_roots")) if fields.place(root)]
        holding = [root for root in roots if any(path.startswith(f"{root.rstrip('/')}/") for path in paths)]
        inmost = sorted(holding, key=len, reverse=True)
        own = (environ.get(name) for name in self.projects)
        return fields.place(*inmost, payload.get("cwd"), *roots, *own)

    def nagged(self, payload: Mapping[str, Any]) -> bool:
        """Also after a person's interruption: whoever stopped it doesn't want it to go on."""
        loops = payload.get("loop_count")
        again = isinstance(loops, int) and loops > 0
        return again or payload.get("status") in ("aborted", "error") or super().nagged(payload)

    def key(self, kind: Kind, payload: Mapping[str, Any]) -> str:
        """The same for its own event and the imported one."""
        return super().key(kind, payload) or (fields.name(payload.get("generation_id")) if kind == "prompt" else "")

"""Claude Code, and the two that took its format over with differences: Codex and Copilot CLI. Pure; standard library only.

Field names and limits are those of Claude Code 2.1, Codex 0.169 and Copilot CLI 1.0 (November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from gitcoord.agents.dialects import fields, patches
from gitcoord.agents.dialects.base import Dialect, specific
from gitcoord.agents.hook.event import HookAnswer, Kind, Occasion
from gitcoord.machine.agents import AGENTS, Agent

EVENTS: Mapping[str, Kind] = {
    "SessionStart": "start",
    "UserPromptSubmit": "prompt",
    "PreToolUse": "before-edit",
    "PostToolUse": "after-edit",
    "Stop": "stop",
    "SessionEnd": "end",
    "PreCompact": "compact",
}
TOOLS = frozenset({"Edit", "Write", "MultiEdit", "NotebookEdit"})
_OWN_ID = re.compile(r"/session-env/([A-Za-z0-9-]{8,64})/[^/]*$")
_SILENT = frozenset({"end", "compact"})  # what is printed at a PreCompact becomes part of the instructions for it


class Claude(Dialect):
    """Claude Code: at a stop, context alone makes it go on."""

    row: ClassVar[Agent] = AGENTS["claude"]
    projects: ClassVar[tuple[str, ...]] = ("CLAUDE_PROJECT_DIR",)
    kinds: ClassVar[Mapping[str, Kind]] = EVENTS
    tools: ClassVar[frozenset[str]] = TOOLS
    contexts: ClassVar[frozenset[str]] = frozenset({"SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"})

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """Context and verdict in `hookSpecificOutput`, a word for the person beside it."""
        note = {"systemMessage": answer.note} if answer.note and occasion.event and occasion.kind not in _SILENT else {}
        return {**specific(occasion, answer), **note}

    def read(self, payload: Mapping[str, Any], environ: Mapping[str, str]) -> Occasion:
        """The start of a resumed session and that of its copy are the same (2.1): both come with the id of the resumed one,
        and in the name of a file with that of the copy. Only the next prompt tells which it is.
        """
        found = super().read(payload, environ)
        other = _OWN_ID.search(environ.get("CLAUDE_ENV_FILE", ""))
        is_open = found.event == "SessionStart" and found.source == "resume" and other and other[1] != found.agent_id
        return replace(found, perhaps=other[1]) if is_open and other else found

    def key(self, kind: Kind, payload: Mapping[str, Any]) -> str:
        """A prompt has an id of its own, too."""
        return super().key(kind, payload) or (fields.name(payload.get("prompt_id")) if kind == "prompt" else "")


class Codex(Claude):
    """Codex: edits by patches, and a stop is blocked with a reason."""

    row: ClassVar[Agent] = AGENTS["codex"]
    alone: ClassVar[bool] = True  # it shows its person two lines for each call
    tools: ClassVar[frozenset[str]] = TOOLS | {"apply_patch"}
    verdicts: ClassVar[frozenset[str]] = frozenset(
        {"deny"}
    )  # any other it takes for a mistake (0.169): nothing of the answer counts

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """At a stop `decision` and `reason`: Codex takes no context there."""
        return blocked(occasion, answer, super().say)

    def paths(self, tool: str, given: Mapping[str, Any]) -> tuple[str, ...]:
        """The files of the patch."""
        return fields.some([*patches.files(given), *super().paths(tool, given)])

    def key(self, kind: Kind, payload: Mapping[str, Any]) -> str:
        """A prompt begins a turn."""
        return super().key(kind, payload) or (fields.name(payload.get("turn_id")) if kind == "prompt" else "")


class Copilot(Claude):
    """Copilot CLI in the form that events with Claude's names have. It reads a context at the top of the answer, and before a tool
    in Claude's part (1.0.102): it is given in both, and each text gets to the model once.
    """

    row: ClassVar[Agent] = AGENTS["copilot"]
    projects: ClassVar[tuple[str, ...]] = ("COPILOT_PROJECT_DIR", "CLAUDE_PROJECT_DIR")
    tools: ClassVar[frozenset[str]] = TOOLS | {"edit", "create", "apply_patch", "str_replace_editor"}

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """At a stop `decision` and `reason`; a context in both forms."""
        said = blocked(occasion, answer, super().say)
        return {"additionalContext": answer.context, **said} if answer.context and not answer.go_on else said

    def edits(self, tool: str, given: Mapping[str, Any]) -> bool:
        """One of its tools can also look."""
        return super().edits(tool, given) and given.get("command") != "view"

    def paths(self, tool: str, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Some of its models edit by patches."""
        return fields.some([*patches.files(given), *super().paths(tool, given)])

    def session(self, payload: Mapping[str, Any]) -> str:
        """A helper calls under an id of its own, and names who started it: the session, or another helper."""
        return fields.name(payload.get("parent_agent_id")) or super().session(payload)

    def kind(self, kind: Kind, payload: Mapping[str, Any]) -> Kind:
        """With `-p` it says that the session ended after each turn: only a person's leaving is an end."""
        return "other" if kind == "end" and payload.get("reason") != "user_exit" else kind

    def source(self, payload: Mapping[str, Any]) -> str:
        """It has its own word for a start."""
        found = super().source(payload)
        return "startup" if found == "new" else found


class CopilotNative(Copilot):
    """Copilot CLI in its own form: the payload doesn't name the event, each has fields that no other has."""

    kinds: ClassVar[Mapping[str, Kind]] = {
        "sessionStart": "start",
        "userPromptSubmitted": "prompt",
        "preToolUse": "before-edit",
        "postToolUse": "after-edit",
        "agentStop": "stop",
        "sessionEnd": "end",
        "preCompact": "compact",
    }
    contexts: ClassVar[frozenset[str]] = frozenset(
        {"sessionStart", "userPromptSubmitted", "preToolUse", "postToolUse", "agentStop"}
    )
    _MARKS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("agentName", ""),  # a subagent's
        ("error", ""),
        ("toolResult", "postToolUse"),
        ("toolName", "preToolUse"),
        ("stopReason", "agentStop"),
        ("trigger", "preCompact"),
        ("source", "sessionStart"),
        ("reason", "sessionEnd"),
        ("prompt", "userPromptSubmitted"),
    )

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """The same words without a part around them."""
        found = super().say(occasion, answer)
        inner = found.pop("hookSpecificOutput", {})
        return {key: value for key, value in {**found, **inner}.items() if key not in {"hookEventName", "systemMessage"}}

    def event(self, payload: Mapping[str, Any]) -> str:
        """By the fields that only this event has."""
        return next((event for mark, event in self._MARKS if mark in payload), "")

    def session(self, payload: Mapping[str, Any]) -> str:
        """Its id of the session, also where a helper calls."""
        return fields.name(payload.get("parentAgentId")) or fields.name(payload.get("sessionId"))

    def subagent(self, payload: Mapping[str, Any]) -> bool:
        """Told by either spelling."""
        return bool(payload.get("agentId")) or super().subagent(payload)

    def tool(self, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """What the tool is given may be a text of JSON."""
        return fields.name(payload.get("toolName")), fields.table(payload.get("toolArgs"))

    def nagged(self, payload: Mapping[str, Any]) -> bool:
        """Told by either spelling."""
        return payload.get("stopHookActive") is True or super().nagged(payload)


def blocked(occasion: Occasion, answer: HookAnswer, otherwise: Any) -> dict[str, Any]:
    """A stop that is blocked with the context for its reason; at any other event what `otherwise` says."""
    if occasion.kind == "stop" and answer.go_on:
        return {"decision": "block", "reason": answer.context}
    said: dict[str, Any] = otherwise(occasion, answer)
    return said

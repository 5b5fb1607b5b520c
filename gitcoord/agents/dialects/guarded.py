"""Programs with forms of their own: Cline, and three that take nothing but a refusal (Goose, Kiro, Devin Desktop). Pure.

Standard library only. By their documents (November 2026), not tried in the running programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitcoord.agents.dialects import fields
from gitcoord.agents.dialects.base import Dialect
from gitcoord.agents.hook.event import HookAnswer, Kind, Occasion
from gitcoord.machine.agents import AGENTS, Agent

_DENY: frozenset[str] = frozenset({"deny"})


class Cline(Dialect):
    """Cline: one script for each event, context with every answer, and a refusal that cancels the tool."""

    row: ClassVar[Agent] = AGENTS["cline"]
    kinds: ClassVar[Mapping[str, Kind]] = {
        "TaskStart": "start",
        "TaskResume": "start",
        "UserPromptSubmit": "prompt",
        "PreToolUse": "before-edit",
        "PostToolUse": "after-edit",
        "TaskComplete": "end",
        "TaskCancel": "end",
        "PreCompact": "compact",
    }
    tools: ClassVar[frozenset[str]] = frozenset({"write_to_file", "replace_in_file", "apply_patch"})
    contexts: ClassVar[frozenset[str]] = frozenset({"TaskStart", "TaskResume", "UserPromptSubmit", "PreToolUse", "PostToolUse"})
    verdicts: ClassVar[frozenset[str]] = _DENY

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """`cancel` with an error message, or context."""
        if answer.verdict:
            return {"cancel": True, "errorMessage": answer.reason}
        return {"cancel": False, "contextModification": answer.context} if answer.context else {}

    def event(self, payload: Mapping[str, Any]) -> str:
        """The event's name."""
        return fields.name(payload.get("hookName"))

    def session(self, payload: Mapping[str, Any]) -> str:
        """The task's id."""
        return fields.name(payload.get("taskId"))

    def tool(self, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Name and parameters stand in a part of the event's name."""
        call = fields.table(payload.get("preToolUse")) or fields.table(payload.get("postToolUse"))
        return fields.name(call.get("toolName")), fields.table(call.get("parameters"))

    def place(self, payload: Mapping[str, Any], environ: Mapping[str, str], paths: tuple[str, ...]) -> str:
        """Of several roots the one that the edited file lies in, else the first."""
        roots = fields.texts(payload.get("workspaceRoots"))
        holding = [root for root in roots if any(path.startswith(f"{root.rstrip('/')}/") for path in paths)]
        return fields.place(*sorted(holding, key=len, reverse=True), *roots)

    def source(self, payload: Mapping[str, Any]) -> str:
        """A task that is taken up again is resumed."""
        return "resume" if self.event(payload) == "TaskResume" else "startup"


class _Guarded(Dialect):
    """One that is only kept from what others hold."""

    guards: ClassVar[bool] = True
    verdicts: ClassVar[frozenset[str]] = _DENY

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """A refusal with its reason, or nothing. Where only an exit code counts, the settings make one of it."""
        return {"decision": "block", "reason": answer.reason} if answer.verdict else {}

    def session(self, payload: Mapping[str, Any]) -> str:
        """None here."""
        return ""


class Goose(_Guarded):
    """Goose: it reads a refusal before a tool, and no text."""

    row: ClassVar[Agent] = AGENTS["goose"]
    kinds: ClassVar[Mapping[str, Kind]] = {"PreToolUse": "before-edit"}
    tools: ClassVar[frozenset[str]] = frozenset({"developer__write", "developer__edit", "developer__text_editor"})

    def event(self, payload: Mapping[str, Any]) -> str:
        """The event's name."""
        return fields.name(payload.get("event"))

    def place(self, payload: Mapping[str, Any], environ: Mapping[str, str], paths: tuple[str, ...]) -> str:
        """The session's folder."""
        return fields.place(payload.get("working_dir"))


class Kiro(_Guarded):
    """Kiro (CLI 2 and 3, IDE 1): an exit code refuses."""

    row: ClassVar[Agent] = AGENTS["kiro"]
    kinds: ClassVar[Mapping[str, Kind]] = {"PreToolUse": "before-edit", "preToolUse": "before-edit"}
    tools: ClassVar[frozenset[str]] = frozenset({"fs_write", "str_replace", "write"})


class Windsurf(_Guarded):
    """Devin Desktop's Cascade: an exit code refuses what it is about to write."""

    row: ClassVar[Agent] = AGENTS["windsurf"]
    kinds: ClassVar[Mapping[str, Kind]] = {"pre_write_code": "before-edit"}

    def event(self, payload: Mapping[str, Any]) -> str:
        """The event's name."""
        return fields.name(payload.get("agent_action_name"))

    def tool(self, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return the tool, which this agent does not name, and what it is given."""
        return "", fields.table(payload.get("tool_info"))

    def edits(self, tool: str, given: Mapping[str, Any]) -> bool:
        """The event says so."""
        return True

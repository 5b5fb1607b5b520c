"""Gemini CLI and its successor Antigravity CLI. Pure; standard library only.

Field names are those of Gemini CLI 0.61 and of Antigravity's documents (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitcoord.agents.dialects import fields
from gitcoord.agents.dialects.base import Dialect, specific
from gitcoord.agents.hook.event import HookAnswer, Kind, Occasion
from gitcoord.machine.agents import AGENTS, Agent

_COUNTED = 10**12  # no conversation has as many steps


class Gemini(Dialect):
    """Gemini CLI: no context before a tool, and nobody to ask there; a denied turn is done again with the reason. Its PreCompress
    says nothing: it comes before each request (0.61), whether anything is compressed or not.
    """

    row: ClassVar[Agent] = AGENTS["gemini"]
    projects: ClassVar[tuple[str, ...]] = ("GEMINI_PROJECT_DIR", "GEMINI_CWD", "CLAUDE_PROJECT_DIR")
    kinds: ClassVar[Mapping[str, Kind]] = {
        "SessionStart": "start",
        "BeforeAgent": "prompt",
        "BeforeTool": "before-edit",
        "AfterTool": "after-edit",
        "AfterAgent": "stop",
        "SessionEnd": "end",
    }
    tools: ClassVar[frozenset[str]] = frozenset({"write_file", "replace"})
    contexts: ClassVar[frozenset[str]] = frozenset({"SessionStart", "BeforeAgent", "AfterTool", "AfterAgent"})
    verdicts: ClassVar[frozenset[str]] = frozenset({"allow", "deny"})

    def takes(self, occasion: Occasion) -> bool:
        """It drops what it is told when its context is cleared (0.61)."""
        return super().takes(occasion) and not (occasion.kind == "start" and occasion.source == "clear")

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """Verdicts as `decision`, context in `hookSpecificOutput`."""
        said: dict[str, Any] = {}
        if answer.go_on:
            said = {"decision": "deny", "reason": answer.context}
        elif answer.verdict:
            said = {"decision": answer.verdict, "reason": answer.reason}
        elif answer.context:
            said = specific(occasion, answer)
        if answer.note and occasion.event and occasion.kind != "end":
            said["systemMessage"] = answer.note
        return said


class Tabnine(Gemini):
    """Tabnine CLI: Gemini CLI's form, by its documents (November 2026)."""

    row: ClassVar[Agent] = AGENTS["tabnine"]
    projects: ClassVar[tuple[str, ...]] = (*AGENTS["tabnine"].hook_marks, *Gemini.projects)


class Antigravity(Dialect):
    """Antigravity CLI: the payload doesn't name the event, so its settings do (`--agent antigravity:PreToolUse`). No end."""

    row: ClassVar[Agent] = AGENTS["antigravity"]
    kinds: ClassVar[Mapping[str, Kind]] = {
        "SessionStart": "start",
        "PreInvocation": "prompt",
        "PreToolUse": "before-edit",
        "PostToolUse": "after-edit",
        "Stop": "stop",
    }
    tools: ClassVar[frozenset[str]] = frozenset({"write_to_file", "replace_file_content", "multi_replace_file_content"})
    contexts: ClassVar[frozenset[str]] = frozenset({"SessionStart", "PreInvocation", "Stop"})

    def __init__(self, event: str = "") -> None:
        self._named = event

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """Context as a step, verdicts as `decision`; before a tool always one, since silence may count as no."""
        if answer.go_on:
            return {"decision": "continue", "reason": answer.context}
        if occasion.event == "PreToolUse":
            reason = {"reason": answer.reason} if answer.verdict else {}
            return {"decision": answer.verdict or "allow", **reason}
        return {"injectSteps": [{"ephemeralMessage": answer.context}]} if answer.context else {}

    def event(self, payload: Mapping[str, Any]) -> str:
        """As the settings name it, else by the fields that only this event has."""
        found = self._named or super().event(payload)
        if found:
            return found
        if "toolCall" in payload:
            return "PreToolUse"
        if "terminationReason" in payload or "fullyIdle" in payload:
            return "Stop"
        return "PreInvocation" if "invocationNum" in payload else ""

    def session(self, payload: Mapping[str, Any]) -> str:
        """The conversation's id."""
        return fields.name(payload.get("conversationId"))

    def tool(self, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Name and arguments stand together."""
        call = fields.table(payload.get("toolCall"))
        return fields.name(call.get("name")), fields.table(call.get("args"))

    def kind(self, kind: Kind, payload: Mapping[str, Any]) -> Kind:
        """A stop with work in the background is none yet."""
        return "other" if kind == "stop" and payload.get("fullyIdle") is False else kind

    def place(self, payload: Mapping[str, Any], environ: Mapping[str, str], paths: tuple[str, ...]) -> str:
        """Of several work spaces the one that the edited file lies in, else the first."""
        roots = fields.texts(payload.get("workspacePaths"))
        holding = [root for root in roots if any(path.startswith(f"{root.rstrip('/')}/") for path in paths)]
        return fields.place(*sorted(holding, key=len, reverse=True), payload.get("cwd"), *roots)

    def key(self, kind: Kind, payload: Mapping[str, Any]) -> str:
        """Calls and steps are counted."""
        for counted in ("invocationNum", "stepIdx"):
            number = payload.get(counted)
            if kind != "stop" and isinstance(number, int) and 0 <= number < _COUNTED:
                return f"{counted}-{number}"
        return ""

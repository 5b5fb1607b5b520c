"""Qwen Code, Factory Droid and VS Code's own agent, which took Claude Code's format over with differences. Pure; standard library
only.

Qwen Code: as its program 0.15 has it; the other two by their documents (November 2026), not tried in the running programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gitcoord.agents.dialects import fields, patches
from gitcoord.agents.dialects.base import specific
from gitcoord.agents.dialects.claude import EVENTS, TOOLS, Claude, blocked
from gitcoord.agents.hook.event import HookAnswer, Kind, Occasion
from gitcoord.machine.agents import AGENTS, Agent


class Qwen(Claude):
    """Qwen Code: Gemini's tools. With `-p` it tells of no start and no end. It drops what is said at a start, reads before a tool
    only whether that may run, and calls every stop one that a hook has put off.
    """

    row: ClassVar[Agent] = AGENTS["qwen"]
    projects: ClassVar[tuple[str, ...]] = (*AGENTS["qwen"].hook_marks, "CLAUDE_PROJECT_DIR")
    tools: ClassVar[frozenset[str]] = frozenset({"edit", "write_file", "replace", "notebook_edit"})
    contexts: ClassVar[frozenset[str]] = frozenset({"UserPromptSubmit", "PostToolUse", "Stop"})
    verdicts: ClassVar[frozenset[str]] = frozenset({"deny"})  # it takes a question for a refusal

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """At a stop `decision` and `reason`."""
        return blocked(occasion, answer, super().say)

    def nagged(self, payload: Mapping[str, Any]) -> bool:
        """Never: it says so of each stop. What was told once isn't told again, so it doesn't go on for ever."""
        return False

    def source(self, payload: Mapping[str, Any]) -> str:
        """It has its own word for a copy."""
        found = super().source(payload)
        return "fork" if found == "branch" else found


class Droid(Claude):
    """Factory Droid: a stop is blocked with a reason; no context before a tool."""

    row: ClassVar[Agent] = AGENTS["droid"]
    projects: ClassVar[tuple[str, ...]] = AGENTS["droid"].hook_marks
    tools: ClassVar[frozenset[str]] = TOOLS | {"Create", "ApplyPatch"}
    contexts: ClassVar[frozenset[str]] = frozenset({"SessionStart", "UserPromptSubmit", "PostToolUse", "Stop"})

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """At a stop `decision` and `reason`."""
        return blocked(occasion, answer, super().say)

    def paths(self, tool: str, given: Mapping[str, Any]) -> tuple[str, ...]:
        """One of its tools edits by patches."""
        return fields.some([*patches.files(given), *super().paths(tool, given)])


_VSCODE_TOOLS = (
    "editFiles", "createFile", "replace_string_in_file", "multi_replace_string_in_file", "insert_edit_into_file", "create_file",
    "edit_notebook_file", "apply_patch",
)  # fmt: skip


class VsCode(Claude):
    """VS Code's own agent (Local): the names of its fields are written another way, its hooks run at every tool, and it tells of no
    end. Its Copilot, Claude and Codex sessions use those agents' own forms.
    """

    row: ClassVar[Agent] = AGENTS["vscode"]
    projects: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[Mapping[str, Kind]] = {name: kind for name, kind in EVENTS.items() if kind != "end"}
    tools: ClassVar[frozenset[str]] = TOOLS | frozenset(_VSCODE_TOOLS)
    contexts: ClassVar[frozenset[str]] = frozenset({"SessionStart", "PreToolUse", "PostToolUse", "Stop"})

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """A stop is blocked inside of `hookSpecificOutput`."""
        if occasion.kind == "stop" and answer.go_on:
            return {"hookSpecificOutput": {"hookEventName": occasion.event, "decision": "block", "reason": answer.context}}
        note = {"systemMessage": answer.note} if answer.note and occasion.event and occasion.kind != "compact" else {}
        return {**specific(occasion, answer), **note}

    def event(self, payload: Mapping[str, Any]) -> str:
        """The event's name."""
        return fields.name(payload.get("hookEventName")) or super().event(payload)

    def session(self, payload: Mapping[str, Any]) -> str:
        """Its id of the session."""
        return fields.name(payload.get("sessionId")) or super().session(payload)

    def paths(self, tool: str, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Some of its tools edit by patches, or several files at once."""
        several = given.get("replacements")
        inner = (
            [path for one in several if isinstance(one, dict) for path in fields.paths(one)] if isinstance(several, list) else []
        )
        return fields.some([*patches.files(given), *super().paths(tool, given), *inner])

    def source(self, payload: Mapping[str, Any]) -> str:
        """It has its own word for a start."""
        found = super().source(payload)
        return "startup" if found == "new" else found

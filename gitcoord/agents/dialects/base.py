"""A dialect reads an `Occasion` out of an agent's payload and writes a `HookAnswer` in that agent's form. Pure.

A dialect is a class with tables and the few methods in which its agent differs. Loads the standard library only.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from gitcoord.agents.dialects import fields
from gitcoord.agents.hook.event import NOTHING, WORDS, HookAnswer, Kind, Occasion
from gitcoord.machine.agents import Agent, agent_ids

LIMIT = 10_000  # characters of context: the least that an agent takes at once (Codex, 2,500 tokens)
_TOO_LONG = "gitcoord has more to tell than fits here: run `gitcoord briefing` and `gitcoord inbox`."
_TOOLS: tuple[Kind, Kind] = ("before-edit", "after-edit")


class Dialect(ABC):
    """A dialect reads what one agent sends, and writes the answer in that agent's own form."""

    row: ClassVar[Agent]
    """The agent's row in the table. Where an agent sets only a mark for the commands that it runs (`COPILOT_CLI=1`), the row's
    variable is the mark's name: it tells which agent runs a command, not which of its sessions.
    """
    projects: ClassVar[tuple[str, ...]] = ()
    """The variables that tell the project's folder, for a payload that doesn't."""
    kinds: ClassVar[Mapping[str, Kind]]
    """The events that matter, by the agent's own names."""
    tools: ClassVar[frozenset[str]] = frozenset()
    """The tools that write files."""
    contexts: ClassVar[frozenset[str]] = frozenset()
    """The events at which text gets to the model; at a stop only together with going on."""
    verdicts: ClassVar[frozenset[str]] = frozenset({"allow", "ask", "deny"})
    """The agent takes these verdicts about an edit. Where `ask` isn't among them, the edit is denied once instead."""

    alone: ClassVar[bool] = False
    """True if the agent is called only before a tool: what is done after others' edits is done then, too."""

    guards: ClassVar[bool] = False
    """True if it takes nothing but a refusal: it is never registered, and kept from what others hold."""
    known: ClassVar[bool] = True
    """False for whoever calls in no form that is known."""

    def read(self, payload: Mapping[str, Any], environ: Mapping[str, str]) -> Occasion:
        """What the agent called for; never raises, whatever the payload holds."""
        event = self.event(payload)
        kind = self.kinds.get(event, "other")
        tool, given = self.tool(payload)
        if kind in _TOOLS and not self.edits(tool, given):
            kind = "after-tool" if kind == "after-edit" or self.alone else "other"
        paths = self.paths(tool, given) if kind in _TOOLS else ()
        session = self.session(payload)
        return Occasion(
            kind=self.kind(kind, payload),
            agent=self.row.record,
            agent_id=session,
            ids=self.ids(session, environ),
            place=self.place(payload, environ, paths),
            event=event if event in self.kinds else "",
            source=self.source(payload),
            paths=paths,
            subagent=self.subagent(payload),
            nagged=self.nagged(payload),
            key=self.key(kind, payload),
            asks="ask" in self.verdicts,
            project=fields.place(*(environ.get(name) for name in self.projects)),
            alone=self.alone,
            late=self.row.late,
            guards=self.guards,
        )

    def write(self, occasion: Occasion, answer: HookAnswer) -> str:
        """What is printed for it: a JSON object, or nothing.

        Also for `NOTHING`: some agents want a word at some events (Antigravity, before a tool), so a hook that has nothing to say
        prints what comes of it, too.
        """
        said = self.say(occasion, self.fitting(occasion, answer))
        return json.dumps(said) if said else ""

    def takes(self, occasion: Occasion) -> bool:
        """Whether a context that is given now gets to the model: where not, it isn't printed, and is to be kept for later.

        At a stop it does if the agent is told to go on: once, since some agents would go on for ever.
        """
        again = occasion.kind == "stop" and occasion.nagged
        return occasion.event in self.contexts and occasion.kind != "other" and not again

    def fitting(self, occasion: Occasion, answer: HookAnswer) -> HookAnswer:
        """Return the answer as it can be given now: nothing without a place, nothing too long, no verdict unknown to the agent."""
        if occasion.kind == "other":
            return NOTHING
        context, verdict, note = answer.context, answer.verdict, answer.note
        if occasion.kind != "before-edit" or verdict not in self.verdicts:
            verdict = ""
        if len(context) > LIMIT:
            context = _TOO_LONG  # cut, it would lose the mark that ends others' words
        if not self.takes(occasion) or (occasion.kind == "stop" and not answer.go_on):
            context = ""
        go_on = answer.go_on and occasion.kind == "stop" and bool(context)
        return replace(answer, context=context, verdict=verdict, reason=answer.reason[:WORDS], note=note[:WORDS], go_on=go_on)

    # --- in what agents differ -------------------------------------------------------------------------------------------

    @abstractmethod
    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """The object for an answer that fits; an empty one: nothing is printed."""

    def event(self, payload: Mapping[str, Any]) -> str:
        """The event's name, as the agent has it."""
        return fields.name(payload.get("hook_event_name"))

    def session(self, payload: Mapping[str, Any]) -> str:
        """The agent's id of its session."""
        return fields.name(payload.get("session_id"))

    def tool(self, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The tool that is called, and what it is given."""
        return fields.name(payload.get("tool_name")), fields.table(payload.get("tool_input"))

    def edits(self, tool: str, given: Mapping[str, Any]) -> bool:
        """Whether that tool writes files."""
        return tool in self.tools

    def paths(self, tool: str, given: Mapping[str, Any]) -> tuple[str, ...]:
        """The files that it writes."""
        return fields.paths(given)

    def kind(self, kind: Kind, payload: Mapping[str, Any]) -> Kind:
        """What the event is, if its name doesn't tell enough."""
        return kind

    def place(self, payload: Mapping[str, Any], environ: Mapping[str, str], paths: tuple[str, ...]) -> str:
        """The folder that the agent works in."""
        return fields.place(payload.get("cwd"), *(environ.get(name) for name in self.projects))

    def source(self, payload: Mapping[str, Any]) -> str:
        """Why it started or ended."""
        return fields.name(payload.get("source")) or fields.name(payload.get("reason"))

    def nagged(self, payload: Mapping[str, Any]) -> bool:
        """Whether it goes on only because a hook asked for it."""
        return payload.get("stop_hook_active") is True

    def subagent(self, payload: Mapping[str, Any]) -> bool:
        """Whether a helper inside of the session called."""
        return bool(payload.get("agent_id"))

    def key(self, kind: Kind, payload: Mapping[str, Any]) -> str:
        """What is the same in two calls for one event. A stop has none: one prompt may come to several."""
        return fields.name(payload.get("tool_use_id")) if kind in _TOOLS or kind == "after-tool" else ""

    def ids(self, session: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The variables that the agent's commands find: its own, and those of the agents inside of which it runs."""
        if not session:
            return ()
        return tuple({**agent_ids(environ), self.row.variable: session}.items())


def specific(occasion: Occasion, answer: HookAnswer, *, context: bool = True) -> dict[str, Any]:
    """The part `hookSpecificOutput` that Claude Code has, and whoever took its format over; empty for nothing."""
    extra: dict[str, Any] = {}
    if answer.context and context:
        extra["additionalContext"] = answer.context
    if answer.verdict:
        extra |= {"permissionDecision": answer.verdict, "permissionDecisionReason": answer.reason}
    return {"hookSpecificOutput": {"hookEventName": occasion.event, **extra}} if extra else {}

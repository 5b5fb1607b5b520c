"""Our own form, for agents that have none: opencode's plugin speaks it, and any other program may. Pure; standard library only.

In: `event` (a step's name as in `hook.event.Kind`), `agent`, `session`, `cwd`, `source`, `paths`, `subagent`, `nagged`, `id`. Out:
`context`, `verdict`, `reason`, `note`, `go_on`, each only where there is something. `docs/agents.md` describes it for users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, get_args

from gitcoord.agents.dialects import fields
from gitcoord.agents.dialects.base import Dialect
from gitcoord.agents.hook.event import HookAnswer, Kind, Occasion
from gitcoord.machine.agents import AGENTS, Agent

_KINDS: Mapping[str, Kind] = {kind: kind for kind in get_args(Kind) if kind != "other"}


class Plain(Dialect):
    """Any agent: it says itself what it is called, and gives its commands `GITCOORD_AGENT_ID`."""

    row: ClassVar[Agent] = AGENTS["generic"]
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    contexts: ClassVar[frozenset[str]] = frozenset({"start", "prompt", "before-edit", "after-edit", "stop"})

    def read(self, payload: Mapping[str, Any], environ: Mapping[str, str]) -> Occasion:
        """What the agent called for, under the name that it gives itself."""
        found = super().read(payload, environ)
        called = fields.name(payload.get("agent"))
        return replace(found, agent=called[:40]) if called else found

    def say(self, occasion: Occasion, answer: HookAnswer) -> dict[str, Any]:
        """The answer's fields by their own names."""
        if not occasion.event:
            return {}
        said = {"context": answer.context, "verdict": answer.verdict, "note": answer.note, "go_on": answer.go_on}
        if answer.verdict:
            said["reason"] = answer.reason
        return {key: value for key, value in said.items() if value}

    def event(self, payload: Mapping[str, Any]) -> str:
        """The step's name."""
        return fields.name(payload.get("event"))

    def session(self, payload: Mapping[str, Any]) -> str:
        """The agent's id of its session."""
        return fields.name(payload.get("session"))

    def tool(self, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The paths stand in the payload itself."""
        return "", payload

    def edits(self, tool: str, given: Mapping[str, Any]) -> bool:
        """Whoever says so."""
        return True

    def nagged(self, payload: Mapping[str, Any]) -> bool:
        """Said plainly."""
        return payload.get("nagged") is True

    def subagent(self, payload: Mapping[str, Any]) -> bool:
        """Said plainly, too."""
        return payload.get("subagent") is True

    def key(self, kind: Kind, payload: Mapping[str, Any]) -> str:
        """The event's own id."""
        return fields.name(payload.get("id"))


class UnknownAgent(Plain):
    """Whoever calls in no form that is known: a session that nothing guards must not be listed, so nothing is done."""

    known: ClassVar[bool] = False
    kinds: ClassVar[Mapping[str, Kind]] = {}


class Opencode(Plain):
    """opencode, by the plugin that `gitcoord hooks install --agent opencode` puts there: it can refuse an edit, not ask."""

    row: ClassVar[Agent] = AGENTS["opencode"]
    contexts: ClassVar[frozenset[str]] = frozenset({"start", "prompt", "after-edit", "after-tool", "stop"})
    verdicts: ClassVar[frozenset[str]] = frozenset({"deny"})  # a plugin can only let a tool run, or not


class Amp(Plain):
    """Amp, by the plugin that `gitcoord hooks install --agent amp` puts there: it tells at a prompt or a stop."""

    row: ClassVar[Agent] = AGENTS["amp"]
    kinds: ClassVar[Mapping[str, Kind]] = {kind: kind for kind in _KINDS.values() if kind not in {"compact", "after-tool"}}
    contexts: ClassVar[frozenset[str]] = frozenset({"start", "prompt", "stop"})
    verdicts: ClassVar[frozenset[str]] = frozenset({"deny"})

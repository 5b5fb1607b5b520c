"""Of a branch that several repositories share: what concerns one of them."""

from __future__ import annotations

from dataclasses import replace

from gitcoord.core.addresses import TO_ALL
from gitcoord.core.names import Resource
from gitcoord.core.state import State
from gitcoord.core.tables import Mail, Roll, Table


def of_repository(state: State, repo: str) -> State:
    """The state as that repository needs it: its sessions, what they hold, wait for, say and are told, the claims on its files, and
    what is shared by all (`deploy:production`).
    """
    here = {name for name, session in state.sessions.items() if session.repo == repo}

    def ours(resource: Resource) -> bool:
        return resource.repo == repo or (resource.repo is None and resource.type != "file")

    return replace(
        state,
        sessions=Roll({name: one for name, one in state.sessions.items() if name in here}),
        heartbeats=Table({name: one for name, one in state.heartbeats.items() if name in here}),
        claims=Table({key: one for key, one in state.claims.items() if one.claimed_by in here or ours(one.resource)}),
        waiting=Table({key: one for key, one in state.waiting.items() if one.session_id in here or any(map(ours, one.wanted))}),
        messages=Mail(
            {
                key: one
                for key, one in state.messages.items()
                if one.sender in here or one.to in here or one.to in (TO_ALL, f"repo:{repo}")
            }
        ),
        trials=Table({key: one for key, one in state.trials.items() if one.repo == repo}),
        conflicts=Table({key: one for key, one in state.conflicts.items() if here.issuperset(one.sessions)}),
        handoffs=Table(
            {
                key: one
                for key, one in state.handoffs.items()
                if one.sender in here
                or one.to in here
                or one.to == f"repo:{repo}"
                or any(Resource.read(text).repo == repo for text in one.resources)
            }
        ),
    )

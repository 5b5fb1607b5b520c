"""The three functions that everything turns on: decide (may refuse), evolve (total), problem (pure validity)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from gitcoord.core import (
    branch,
    carrying,
    claims,
    clocks,
    epochs,
    foretold,
    handover,
    heartbeats,
    leases,
    messages,
    next_task,
    queue,
    records,
    releases,
    renewals,
    requests,
    retention,
    sessions,
    succession,
    task_commands,
    tasks,
    trials,
)
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.state import Draft, State
from gitcoord.core.times import is_date
from gitcoord.errors import BadInput, GitcoordError, NotInitialised, TooOld

_DECIDE: dict[type[Command], Callable[[State, Any, Clock], Event | None]] = {
    branch.OpenBranch: branch.decide_open,
    branch.JoinHub: branch.decide_join,
    branch.ChangeSetting: branch.decide_setting,
    branch.WithdrawFormat: branch.decide_withdraw,
    sessions.StartSession: sessions.decide_start,
    sessions.EndSession: sessions.decide_end,
    succession.SupersedeSession: succession.decide_supersede,
    heartbeats.RecordHeartbeat: heartbeats.decide_heartbeat,
    claims.AcquireClaims: claims.decide_acquire,
    renewals.RenewClaims: renewals.decide_renew,
    releases.ReleaseClaims: releases.decide_release,
    requests.RequestClaims: requests.decide_request,
    requests.AnswerRequest: requests.decide_answer,
    messages.SendMessage: messages.decide_send,
    messages.TakeMessages: messages.decide_take,
    handover.OfferHandoff: handover.decide_offer,
    handover.TakeHandoff: handover.decide_take,
    task_commands.AddTasks: task_commands.decide_add,
    task_commands.ChangeTask: task_commands.decide_change,
    task_commands.CloseTask: task_commands.decide_close,
    task_commands.ReopenTask: task_commands.decide_reopen,
    next_task.TakeNext: next_task.decide_next,
    trials.RecordTrial: trials.decide_trial,
    foretold.ForetellConflict: foretold.decide_foretell,
}

COMMANDS: dict[str, type[Command]] = {command.kind: command for command in _DECIDE}
"""Every command this program can carry out, by its kind."""

EVENTS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        branch.BranchOpened,
        branch.RepositoryJoined,
        branch.SettingsChanged,
        branch.FormatRaised,
        branch.FormatUsed,
        branch.FormatWithdrawn,
        sessions.SessionStarted,
        sessions.SessionResumed,
        sessions.SessionEnded,
        succession.SessionSuperseded,
        heartbeats.HeartbeatRecorded,
        claims.ClaimAcquired,
        renewals.ClaimRenewed,
        releases.ClaimReleased,
        queue.ClaimQueued,
        queue.LinePassed,
        requests.ClaimRequested,
        requests.RequestAnswered,
        messages.MessageSent,
        messages.MessageRead,
        handover.HandoffOffered,
        handover.HandoffTaken,
        tasks.TaskAdded,
        tasks.TaskChanged,
        tasks.TaskClosed,
        tasks.TaskReopened,
        carrying.CarryAnswered,
        trials.TrialDone,
        foretold.ConflictForetold,
        epochs.EpochClosed,
        epochs.EpochOpened,
    )
}
"""Every event this program understands, by its kind."""


def decide(state: State, command: Command, clock: Clock) -> Event | None:
    """Return the event that the command makes happen on that state, or None if it changes nothing.

    Raises what refuses the command (errors).
    """
    clocks.check_date(clock.now)
    opening = isinstance(command, branch.OpenBranch)
    if not opening:
        if state.branch is None:
            raise NotInitialised("there is no coordination branch yet", hint="gitcoord init")
        check_format(state, command)
    event = _made(state, command, clock)
    if event is None:
        return None
    if command.asked:
        event = event.model_copy(update={"asked": command.asked})
    if opening:
        return event
    if _is_used(state, event):
        raise BadInput(f"the operation id {command.op} is used already", hint="leave --op away, or choose another")
    renewed = _kept_on(state, event, clock)
    if renewed:
        event = event.model_copy(update={"renewed": (*event.renewed, *renewed)})
    removed, abandoned = retention.sweep(state, event.session, clock.now, _host(event))
    if removed or abandoned:
        event = event.model_copy(update={"removed": removed, "abandoned": abandoned})
    if state.waiting:  # the session that frees something grants it to the next in line, in the same commit
        now = clocks.date_of(state, clock)
        granted = queue.fitting(evolve(state, event, now), now)
        if granted:
            event = event.model_copy(update={"granted": granted})
    return event


def _made(state: State, command: Command, clock: Clock) -> Event | None:
    """Return the event of the command's own kind; of a carried one that makes none, the event that answers it on the branch."""
    if command.carried is None:
        return _DECIDE[type(command)](state, command, clock)
    carrying.check(state, command)
    event, refused = None, None
    try:
        carrying.admit(command, clock)
        event = _DECIDE[type(command)](state, command, clock)
    except GitcoordError as error:
        if not carrying.is_answered(state, command):
            raise
        refused = error
    if event is None and not carrying.is_answered(state, command):
        return None
    made = event or carrying.answer(state, command, refused)
    return made.model_copy(update={"carried": command.carried})


def _kept_on(state: State, event: Event, clock: Clock) -> tuple[str, ...]:
    """Return the renewals that come with any sign of life of a session: of what it holds and the event leaves as it is."""
    if event.lapsed is not None or isinstance(event, sessions.SessionEnded):
        return ()
    due = leases.due_renewals(state, event.session, event.at, clock)
    if not due or sessions.run_problem(state, event) is not None:
        return ()
    left = evolve(state, event, state.at).claims
    keys = {one.entry: one.key for one in leases.held_by(state, event.session)}
    entries = [(entry, leases.RenewedLease.parse(entry)) for entry in due]
    stay = [(entry, keys[str(leases.LeaseRef(fence, resource))]) for entry, (fence, _, resource) in entries]
    return tuple(entry for entry, key in stay if left.get(key) == state.claims.get(key))[: leases.AT_ONCE - len(event.renewed)]


def _host(event: Event) -> str | None:
    """The machine that an event comes from, where it says so."""
    host: str | None = getattr(event, "host", None)
    return host


def _is_used(state: State, event: Event) -> bool:
    """Whether a record stands under the event's id, or under one that it would give to what it makes."""
    if not event.makes:  # it can't get into anybody's way, and looking for an id means to list all that is kept
        return False
    made = max(len(getattr(event, "taken", ())) + 1, *(len(getattr(event, name, ())) for name in ("touched", "culprits")))
    return event.id in state.messages or event.id in state.handoffs or any(f"{event.id}.{n}" in state.messages for n in range(made))


def check_format(state: State, command: Command) -> None:
    """Raise TooOld when the branch's format is newer than this program's. A raise that nothing rests on yet can be withdrawn, by a
    session that starts for it if need be.
    """
    if state.rules.format <= records.FORMAT:
        return
    way_back = state.rules.format_used <= records.FORMAT
    if way_back and isinstance(command, branch.WithdrawFormat | sessions.StartSession):
        return
    back = f"; if nobody needs the new format, a person takes it back: {branch.way_back(state.rules)}" if way_back else ""
    raise TooOld(
        f"the branch has format {state.rules.format}, this program writes format {records.FORMAT}",
        hint=f"upgrade gitcoord; reading goes on as far as it can{back}",
    )


def evolve(state: State, event: Event, committed_at: datetime) -> State:
    """The state after the event. Total: any event on any state gives a state."""
    if event.at > committed_at:  # what an event says of its own time is no clock: nothing happened after its commit
        event = event.model_copy(update={"at": committed_at})
    draft = Draft(state)
    if not event.known:
        return draft.state(seq=event.seq, at=committed_at)
    if event.lapsed is None:
        leases.apply_renewals(draft, event.session, event.renewed, event.at)
        event.evolve(draft)
        _sign_of_life(draft, event)
    carrying.apply(draft, event)
    retention.apply(draft, event.removed, event.abandoned, event.at)
    foretold.apply(draft, event)
    if event.granted:
        queue.grant(draft, event.granted, fence=event.seq, at=committed_at)
    if event.ignored and draft.branch is not None:
        found = tuple(
            records.Ignored(commit=entry.partition(" ")[0], reason=entry.partition(" ")[2], seq=event.seq)
            for entry in event.ignored
        )
        kept = (*draft.branch.ignored, *found)[-branch.IGNORED_SHOWN :]
        draft.change_branch(ignored=kept)
    return draft.state(seq=event.seq, at=committed_at)


def _sign_of_life(draft: Draft, event: Event) -> None:
    session = draft.session(event.session)
    if session is None or not event.sign or (event.run_id and session.run_id != event.run_id):
        return
    marks = list(zip(session.taken, session.taken_at, strict=False)) if session.taken else []
    if isinstance(event, messages.MessageRead):
        done = {*event.messages, *event.shown}
        marks = [(key, at) for key, at in marks if key not in done] + [(key, event.at) for key in event.messages]
    elif event.talk or event.is_work:  # whoever says or does something has seen what came before; an automatic sign proves nothing
        marks = []
    update: dict[str, Any] = {
        "last_heartbeat": max(session.last_heartbeat, event.at),
        "taken": tuple(key for key, _ in marks[-messages.MARKS :]),
        "taken_at": tuple(at for _, at in marks[-messages.MARKS :]),
        "worked_seq": event.seq if event.is_work else session.worked_seq,
    }
    draft.put("sessions", event.session, session.model_copy(update=update))


def is_dated(event: Event, committed_at: datetime) -> bool:
    """Return True if the event's dates can be."""
    return is_date(committed_at) and is_date(event.at)


def problem(state: State, event: Event, committed_at: datetime) -> str | None:
    """Why the event isn't valid on the last good state, or None. Pure: the same answer for every reader, for ever."""
    if event.seq != state.seq + 1:
        return f"its seq is {event.seq}, the next one is {state.seq + 1}"
    if state.branch is None and not isinstance(event, branch.BranchOpened):
        return "the branch isn't open yet"
    if not is_dated(event, committed_at):
        return "its date can't be"
    if event.needs_session and event.lapsed is None:
        wrong = sessions.run_problem(state, event)
        if wrong is not None:
            return wrong
    wrong = carrying.problem(state, event)
    if wrong is not None or not event.known:
        return wrong
    if _is_used(state, event):
        return f"the id {event.id} is used already"
    wrong = event.problem(state, committed_at) if event.lapsed is None else None
    if event.renewed and event.lapsed is None and wrong is None:
        wrong = sessions.run_problem(state, event) or leases.renewal_problem(state, event.session, event.renewed, committed_at)
    wrong = wrong or retention.sweep_problem(state, event.session, event.removed, event.abandoned, committed_at)
    if wrong or not event.granted:
        return wrong
    after = evolve(state, event.model_copy(update={"granted": ()}), committed_at)
    return queue.grant_problem(after, event.granted, committed_at)

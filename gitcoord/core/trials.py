"""Trials: the branches that are about to land, merged, and what a command said to that. One machine tries for all.

The newest few are kept, so that nobody runs the same again, and whoever looks sees which branches are red together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from gitcoord.core import names, records
from gitcoord.core.entries import entry
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.landing import AT_ONCE, Incoming
from gitcoord.core.records import CodeBranch, CommitId, Count, Digest, Line, RepoName, Trial
from gitcoord.core.sessions import lapse
from gitcoord.core.times import spell

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

KEPT = 8  # trials that the tree keeps: every command reads them
SHOWN_FOR = timedelta(days=2)  # how long a red trial needs attention; later it is history
TOGETHER = 16  # branches that a trial names as red together
DETAIL = "trial"
"""The detail of the message to the session of a culprit: the number of the trial."""
_ROUNDS = 200_000  # of the digest: whoever guesses at a command pays for each guess

IncomingEntry = Annotated[str, Field(max_length=1024), entry(Incoming.parse)]


class RecordTrial(Command):
    """Says what came of a trial. The fields are those of the event."""

    kind: ClassVar[str] = "trial.record"
    deferrable: ClassVar[bool] = True

    repo: RepoName | None = None
    onto: CodeBranch
    base: CommitId
    incoming: Annotated[tuple[IncomingEntry, ...], Field(min_length=1, max_length=AT_ONCE)]
    left_out: Annotated[tuple[IncomingEntry, ...], Field(max_length=AT_ONCE)] = ()
    program: Line
    digest: Digest
    exit_code: Count = 0
    base_exit: Count = 0
    seconds: Count = 0
    runs: Count = 1
    culprits: Annotated[tuple[IncomingEntry, ...], Field(max_length=TOGETHER)] = ()


class TrialDone(Event):
    """A command was run on the branches that are about to land, merged in this order onto `base`, the tip of the branch `onto`.

    - `left_out`: branches that conflict with those before them.
    - `program`: the command's name. Its arguments may be secret, so they are only in `digest`.
    - `base_exit`: what the command ended with on `base` alone, if that is red itself.
    - `culprits`: those that are red together, and green without any one of them.
    """

    kind: ClassVar[str] = "trial.done"
    trailers: ClassVar[dict[str, str]] = {
        "left_out": "Left-Out", "program": "Command", "exit_code": "Exit", "base_exit": "Base-Exit", "culprits": "Culprit",
        "digest": "Command-Digest",
    }  # fmt: skip

    repo: RepoName | None = None
    onto: CodeBranch
    base: CommitId
    incoming: Annotated[tuple[IncomingEntry, ...], Field(min_length=1, max_length=AT_ONCE)]
    left_out: Annotated[tuple[IncomingEntry, ...], Field(max_length=AT_ONCE)] = ()
    program: Line
    digest: Digest
    exit_code: Count = 0
    base_exit: Count = 0
    seconds: Count = 0
    runs: Count = 1
    culprits: Annotated[tuple[IncomingEntry, ...], Field(max_length=TOGETHER)] = ()

    @property
    def makes(self) -> bool:
        """A message to the session of each culprit."""
        return bool(self.culprits)

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"trial: of {self.session} (too late: {self.lapsed})"
        return f"trial: {_verdict(self)}, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The trial appears, the oldest one goes, and the sessions of the culprits hear of it."""
        trial = Trial(
            id=self.id, seq=self.seq, session_id=self.session, timestamp=self.at, repo=self.repo, onto=self.onto, base=self.base,
            incoming=self.incoming, left_out=self.left_out, program=self.program, digest=self.digest, exit_code=self.exit_code,
            base_exit=self.base_exit, seconds=self.seconds, runs=self.runs, culprits=self.culprits,
        )  # fmt: skip
        draft.put("trials", self.seq, trial)
        for old in sorted(draft.trials())[:-KEPT]:
            draft.put("trials", old, None)
        owners = dict.fromkeys(Incoming.parse(one).session for one in self.culprits)
        for number, owner in enumerate(owners):
            known = draft.session(owner)
            if known is None or not known.live or owner == self.session:
                continue
            note = records.Message(
                id=f"{self.id}.{number}", seq=self.seq, sender=self.session, to=owner, timestamp=self.at, type="alert",
                subject=names.show(verdict(trial), names.SUBJECT_LIMIT),
                message=f"{verdict(trial)}.\nNo conflict of git shows it; whoever lands second breaks {self.onto}.",
                details={DETAIL: str(self.seq)},
            )  # fmt: skip
            draft.put("messages", note.id, note)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """What is to blame was tried, and only what is red has somebody to blame."""
        if not set(self.culprits) <= set(self.incoming):
            return "a culprit was not tried"
        if self.culprits and (not self.exit_code or self.base_exit):
            return "it blames a branch for what is green, or was red before"
        return "it was red before, and is green" if self.base_exit and not self.exit_code else None


def decide_trial(state: State, command: RecordTrial, clock: Clock) -> Event | None:
    """Records the trial; a late one is recorded without effect."""
    fields = {name: getattr(command, name) for name in RecordTrial.model_fields if name not in Command.model_fields}
    return TrialDone(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        lapsed=lapse(state, command), **fields,
    )  # fmt: skip


def digest(state: State, words: Sequence[str]) -> str:
    """Return what stands for that command on this branch. The same command has the same digest; guessing at its arguments by it is
    slow, and begins anew for each branch.
    """
    opened = state.rules.opened_at
    salt = f"gitcoord trial {spell(opened) if opened else ''}".encode()
    return hashlib.pbkdf2_hmac("sha256", json.dumps(list(words)).encode(), salt, _ROUNDS, 16).hex()


def done_before(state: State, base: str, commits: Sequence[str], command: str) -> Trial | None:
    """Return the newest trial of exactly these commits with the command of that digest; None for none."""
    found = [
        trial
        for trial in state.trials.values()
        if (trial.digest, trial.base) == (command, base) and [Incoming.parse(one).commit for one in trial.incoming] == list(commits)
    ]
    return max(found, key=lambda trial: trial.seq, default=None)


def verdict(trial: Trial) -> str:
    """Return what came of a trial, in one line."""
    return _verdict(trial)


def _verdict(trial: Trial | TrialDone) -> str:
    branches = [Incoming.parse(one) for one in trial.incoming]
    how = f"{trial.program}, exit {trial.exit_code}"
    some = branches[0].words if len(branches) == 1 else f"{len(branches)} branches"
    if not trial.exit_code:
        return f"{trial.program} is green with {some} on {trial.onto}"
    if trial.base_exit:
        return f"{trial.onto} itself is red ({trial.program}, exit {trial.base_exit})"
    guilty = [Incoming.parse(one).words for one in trial.culprits]
    if not guilty:
        return f"{some} {'is' if len(branches) == 1 else 'are'} red on {trial.onto} ({how})"
    if len(guilty) == 1:
        return f"{guilty[0]} is red on {trial.onto} ({how})"
    return f"{', '.join(guilty[:-1])} and {guilty[-1]} are red together on {trial.onto} ({how})"


def newest(state: State) -> list[Trial]:
    """Return the newest trial onto each branch with each command, the newest first."""
    found: dict[tuple[str | None, str, str], Trial] = {}
    for _, trial in sorted(state.trials.items()):
        found[trial.repo, trial.onto, trial.digest] = trial
    return sorted(found.values(), key=lambda trial: -trial.seq)


def standing(state: State, now: datetime) -> list[Trial]:
    """Return the red trials that still hold, as far as is known, the newest first: no newer one has tried the same commits, and no
    culprit has another commit since, or is given up.
    """
    found, newer = list[Trial](), list[Trial]()
    for _, trial in sorted(state.trials.items(), reverse=True):
        holds = not trial.green and now - trial.timestamp < SHOWN_FOR and not any(_settles(later, trial) for later in newer)
        if holds and not any(_has_moved(state, Incoming.parse(one)) for one in trial.culprits):
            found.append(trial)
        newer.append(trial)
    return found


def _settles(later: Trial, trial: Trial) -> bool:
    """Return True if the later trial says more of what the earlier one found, or shows that a culprit has another commit."""
    if (later.repo, later.onto) != (trial.repo, trial.onto):
        return False
    now = {one.branch: one.commit for one in map(Incoming.parse, later.incoming)}
    if any(now.get(one.branch, one.commit) != one.commit for one in map(Incoming.parse, trial.culprits)):
        return True
    return later.digest == trial.digest and set(trial.culprits) <= set(later.incoming)


def _has_moved(state: State, one: Incoming) -> bool:
    session, beat = state.sessions.get(one.session), state.heartbeats.get(one.session)
    if session is None or session.status == "abandoned":
        return True
    return beat is not None and beat.branch == one.branch and beat.commit not in (None, one.commit)

"""Where the hook of a server asks: may this push move the coordination branch? `gitcoord serve-policy check` begins here.

It reads what git gives to `pre-receive`, a line for each ref, and prints `ok`, or in one line why not. The objects of the push lie
apart until it has ended with 0, and are read there. Whatever goes wrong is no `ok`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gitcoord.core.epochs import ARCHIVES
from gitcoord.core.names import show
from gitcoord.core.state import State
from gitcoord.errors import Alarm, BadInput, Damaged, GitcoordError
from gitcoord.git.objects import Objects
from gitcoord.git.repo import NULL, Oid, Repository
from gitcoord.log.history import Checked, Good, History
from gitcoord.policy.memory import Memory
from gitcoord.policy.rules import MEGABYTE, Policy, objection
from gitcoord.policy.speakers import Speakers
from gitcoord.settings import Settings
from gitcoord.views.projection import TreeProjection

_LINE = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (.+)")
_LONGEST = 400  # characters of the one line


@dataclass(frozen=True)
class Update:
    """One line of what git gives to the hook: where a ref was, where it is to be, and which one. NULL: it is not there."""

    old: Oid
    new: Oid
    ref: str

    @classmethod
    def parse(cls, line: str) -> Update:
        """Return what the line says. Raises BadInput."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadInput("git gave the hook something else than updates of refs")
        old, new = (NULL if not name.strip("0") else name for name in found.groups()[:2])
        return cls(old, new, found[3])


class Forbidden(GitcoordError):
    """The push may not move the branch; the message says why."""


def main(environ: Mapping[str, str]) -> int:
    """Answer the hook; return 0 if the push may go on."""
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]  # it is no other stream here
    try:
        check(sys.stdin.read().splitlines(), environ, datetime.now(UTC))
    except GitcoordError as error:
        print(show(error.message, _LONGEST))
        return 1
    print("ok")
    return 0


def check(lines: Iterable[str], environ: Mapping[str, str], now: datetime, start: str = ".") -> None:
    """Return if those updates may be made of the repository that the environment names, as git names it to a hook that it runs in
    `start`. Raises Forbidden, or what keeps the question from being answered.
    """
    repo = Repository.find(start, environ, hooked=True).receiving()
    config = {key: values[-1] for key, values in repo.config.items()}
    ref = f"refs/heads/{Settings.read(config, environ).branch}"
    updates = [Update.parse(line) for line in lines]
    archives = {update.ref: update.new for update in updates if update.ref.startswith(ARCHIVES)}
    if not archives and all(update.ref != ref for update in updates):
        # The hook asks only where its branch or an archive is pushed: the two must mean the same branch.
        raise Forbidden(f"the program on this server takes {ref} for the branch")
    for update in updates:
        if update.ref in archives and update.old:
            raise Forbidden(f"{update.ref} is an archive of the branch, and stays where it is")
        if update.ref == ref:
            gate = Gate(repo, Policy.read(config), Memory.of(repo.git_dir, ref), now, archives)
            gate.check(update, alone=len(updates) == 1)


@dataclass(frozen=True)
class Gate:
    """The check of pushes to one branch of one repository."""

    repo: Repository
    policy: Policy
    memory: Memory
    now: datetime
    archives: Mapping[str, Oid] = field(default_factory=dict)
    """Archives that the same push makes, and their commits."""

    def check(self, update: Update, *, alone: bool) -> None:
        """Return if the push may move the branch so; what was checked is remembered. `alone`: it moves nothing else. Raises
        Forbidden.
        """
        if update.new == NULL:
            raise Forbidden("the branch may not be deleted")
        if alone and update.old and (size := self._size()) > self.policy.largest:
            most = f"{self.policy.largest // MEGABYTE} (gitcoord.policy.largest)"
            raise Forbidden(f"the push has {size / MEGABYTE:.0f} MB, this server takes {most}")
        with Objects(self.repo) as objects:
            objects.begin()
            history = History(objects, TreeProjection())
            if update.old:
                self._check_way(history, update)
            known = self._known(history, update.old) if update.old else Checked()
            checked, events = self._follow(history, known, update)
            speakers = Speakers(self.repo, objects, self.policy, self.memory.origins)
            if why := speakers.objection(known, events):
                raise Forbidden(why)
        self.memory.note(known, checked)

    def _check_way(self, history: History, update: Update) -> None:
        """Return if the new commits stand on the branch, or on the root of a new epoch whose archive is here and does. Raises
        Forbidden.
        """
        found = history.opening(update.new)
        if found is None or history.objects.is_behind(update.old, update.new):
            _check_line(history.objects, update)
            return
        root, opening = found
        archive = self.archives.get(opening.archive) or self.repo.oid_of(opening.archive)
        if archive != opening.closed:
            raise Forbidden(f"epoch {opening.epoch} may begin only where the server has {opening.archive}")
        _check_line(history.objects, replace(update, new=opening.closed))
        if update.new != root:
            _check_line(history.objects, replace(update, old=root))

    def _size(self) -> int:
        """Return how many bytes the push brought."""
        found = 0
        for folder, _, names in os.walk(self.repo.received.get("GIT_QUARANTINE_PATH", "")):
            found += sum(os.lstat(os.path.join(folder, name)).st_size for name in names)
        return found

    def _known(self, history: History, old: Oid) -> Checked:
        """Return what is known of the branch as it is: what was remembered of it; else of a tip before it, and the rest checked."""
        base = self.memory.nearest(old, lambda tip: self._is_behind(tip, old))
        return history.check(old, base)

    def _is_behind(self, tip: Oid, old: Oid) -> bool:
        try:
            return self.repo.is_ancestor(tip, old)
        except Damaged:  # a push that was remembered, and not accepted
            return False

    def _follow(self, history: History, known: Checked, update: Update) -> tuple[Checked, list[Good]]:
        """Check the new commits; return what is known then, and the new events. Raises Forbidden."""
        before = history.state_at(known.good, known.seq)
        events: list[tuple[State, Good]] = []

        def seen(good: Good) -> None:
            nonlocal before
            events.append((before, good))
            before = good.state

        try:
            checked = history.check(update.new, known, seen)
        except Alarm as alarm:
            raise Forbidden(alarm.message) from alarm
        if not update.old:  # a whole record that comes from elsewhere: bad commits in it are ignored by all, as ever
            if checked.good != update.new:
                reason = checked.bad[-1].reason if checked.bad else "it is no coordination branch"
                raise Forbidden(f"commit {update.new[:12]} is not good: {reason}")
            return checked, [good for _, good in events]
        if len(checked.bad) > len(known.bad):
            bad = checked.bad[len(known.bad)]
            raise Forbidden(f"commit {bad.commit[:12]} is not good: {bad.reason}")
        for state, good in events:
            if why := objection(self.policy, state, good.event, good.committed_at, self.now):
                raise Forbidden(f"event {good.event.seq} of {good.event.session} ({good.event.kind}): {why}")
        return checked, [good for _, good in events]


def _check_line(objects: Objects, update: Update) -> None:
    """Return if the new commits stand one on the other, and the first one on the branch as it is. Raises Forbidden."""
    names = objects.range(update.new, update.old) or []
    if merge := next((oid for oid, parents in names if len(parents) > 1), ""):
        raise Forbidden(f"commit {merge[:12]} is a merge: the branch takes none")
    before = update.old
    for oid, parents in names:
        if parents != (before,):
            raise Forbidden(f"{update.new[:12]} doesn't stand on the branch, which is at {update.old[:12]}: it can't be rewritten")
        before = oid
    if not names:
        raise Forbidden(f"the branch is at {update.old[:12]} and can't go back to {update.new[:12]}")

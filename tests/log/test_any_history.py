"""Good and bad commits are a pure function of the history: whatever is pushed by hand, all readers agree, and it is mended.

`--hypothesis-profile=thorough` looks at thousands of histories instead of some.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import histories
import pytest
from clones import Seat, file
from gits import git
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pure_branch import T0, plain
from remotes import RemoteFactory

from gitcoord.connection.connect import Connection, connect
from gitcoord.core import branch, records, rules
from gitcoord.core.branch import BranchOpened
from gitcoord.core.events import Clock, Command, Event, Receipt
from gitcoord.core.state import Draft, State
from gitcoord.errors import Divided, Rewritten, TooOld
from gitcoord.git.objects import Objects
from gitcoord.git.repo import Repository
from gitcoord.log.history import Checked, Good, History
from gitcoord.views import board
from gitcoord.views.projection import TreeProjection

few = settings(max_examples=max(1, settings.default.max_examples // 2))
fewest = settings(max_examples=max(1, settings.default.max_examples // 25))


@dataclass
class Library:
    """A repository for all the histories, and the program's own way of reading it."""

    path: Path
    objects: Objects

    def read(self, tip: str, known: Checked | None = None) -> tuple[Checked, State, list[Good]]:
        """The verdict of a reader that remembers `known` and nothing else."""
        reader, seen = History(self.objects, TreeProjection()), list[Good]()
        checked = reader.check(tip, known or Checked(), seen.append)
        return checked, History(self.objects, TreeProjection()).state_at(checked.good, checked.seq), seen

    def verdict(self, tip: str, known: Checked | None = None) -> Checked | str:
        """What a reader says of the tip, be it that it is an alarm."""
        try:
            return History(self.objects, TreeProjection()).check(tip, known or Checked())
        except Divided as alarm:
            return alarm.name

    def parents(self, tip: str) -> dict[str, list[str]]:
        """Every commit behind the tip, with its parents."""
        lines = git(self.path, "rev-list", "--parents", tip).splitlines()
        return {line.split()[0]: line.split()[1:] for line in lines}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """An empty one."""
    path = tmp_path_factory.mktemp("library")
    git(path, "init", "-q", "--bare")
    with Objects(Repository.find(str(path), {**os.environ, "GIT_DIR": str(path)})) as objects:
        yield Library(path, objects)


def _ancestors(parents: dict[str, list[str]], tip: str) -> set[str]:
    found, todo = set[str](), [tip]
    while todo:
        oid = todo.pop()
        if oid not in found:
            found.add(oid)
            todo += parents[oid]
    return found


EVERY_MOVE = [(word, 7 * number, number, number % 2) for number, word in enumerate(["good"] * 4 + sorted(histories.MOVES) * 2)]
PULLS = [
    [("good", 1, 0, 0), ("good", 4, 21, 0), ("fork", 3, 0, 0), ("theft", 0, 1, 1), ("good", 0, 28, 0), ("merge", 0, order, which)]
    for order, which in itertools.product((0, 1, 2, 3), (0, 1))
]  # theirs first and ours first, a theft in the clone that was behind


@few
@given(plan=histories.moves, steps=st.lists(st.integers(0, 10**6), max_size=4))
@example(plan=EVERY_MOVE, steps=[1, 5, 9])
@example(plan=PULLS[0], steps=[4])
@example(plan=PULLS[1], steps=[4])
@example(plan=PULLS[2], steps=[6])
@example(plan=PULLS[3], steps=[6])
def test_all_readers_agree_whatever_they_saw_before(
    library: Library, plan: list[tuple[str, int, int, int]], steps: list[int]
) -> None:
    oids = histories.make(plan).write(library.path)
    tip = oids[-1]
    parents = library.parents(tip)
    began, _, _ = library.read(oids[2])  # before anything was done by hand
    if library.verdict(tip) == "divided":  # for whoever looks, whatever they had seen, and for every tip after the merge
        seen_before = [oids[2], *(oid for oid in oids if oid in parents and library.verdict(oid) != "divided")]
        for oid in seen_before[:: max(1, len(seen_before) // 4)]:
            assert library.verdict(tip, library.read(oid)[0]) == "divided"
        return
    fresh, state, seen = library.read(tip)
    # A reader that came by at any moments: each tip that it saw is behind the next one.
    known, at = Checked(), ""
    for step in steps:
        later = [oid for oid in oids if oid in parents and oid != at and (not at or at in _ancestors(parents, oid))]
        if not later:
            break
        at = later[step % len(later)]
        try:
            known, _, _ = library.read(at, known)
        except Rewritten:
            pytest.fail(f"{at} descends from {known.tip}")
        assert known == library.read(at)[0]
        if known.good == "":  # an alarm in the program, which then remembers nothing
            known, at = Checked(), ""
    assert library.read(tip, began)[0] == fresh
    old, old_state, _ = library.read(tip, known)
    assert old == fresh
    assert plain(old_state) == plain(state)
    assert board.render(old_state) == board.render(state)
    if seen:  # the state that the events give and the one in the tree are one
        [last] = [good for good in seen if good.commit == fresh.good]
        assert plain(last.state) == plain(state)
    assert fresh.seq == len(seen)  # there is one line: every good event counts, wherever lines were merged
    assert [good.event.seq for good in seen] == list(range(1, fresh.seq + 1))
    assert {*parents} == {good.commit for good in seen} | {bad.commit for bad in fresh.bad}


SHAPES = {
    "a pull after an edit": (["good a 0", "edit b 0", "merge m b a", "good n m"], 2),
    "an octopus of edits": (["good a 0", "edit b 0", "edit c 0", "merge m c a b", "good n m"], 2),
    "a criss-cross": (["good a 0", "edit b 0", "merge m a b", "merge w b a", "good n m", "merge z w n"], 2),
    "merges of merges, from before what was known": (
        ["good a 0", "good b a", "edit c 0", "merge m c a", "merge n m b", "good o n"],
        3,
    ),
    "the same line twice": (["good a 0", "good b a", "merge m a b", "merge n m 0", "good o n"], 3),
    "another project's code": (["good a 0", "root c", "merge m c a", "good n m"], 2),
    "two lines": (["good a 0", "good b 0", "merge m a b"], None),
    "two lines, one long": (["good a 0", "good b 0", "good c b", "good d c", "merge m a d"], None),
    "two lines in an octopus": (["edit e 0", "good a e", "edit c 0", "good b 0", "merge m c a b"], None),
    "two lines far below": (["good a 0", "good b 0", "merge m a b", "edit c m", "merge n c a", "edit o n"], None),
    "two lines by way of edits": (["good a 0", "edit c a", "good b 0", "edit d b", "merge m c 0", "merge n d m"], None),
    "another beginning": (["good a 0", "open b", "merge m a b"], None),
    "another beginning, with more behind it": (["good a 0", "open b", "good c b", "good d c", "merge m d a"], None),
}
"""What is done (word, its name, its parents; 0: where all begins), and how many good events come of it; None: an alarm."""


def _shaped(library: Library, steps: list[str], *, turned: bool = False) -> tuple[dict[str, str], list[str]]:
    """Makes those commits: each by its name, and those that were there before."""
    maker = histories.make([])
    began = len(maker.nodes)
    nodes = {"0": maker.heads[0]}
    for number, step in enumerate(steps):
        word, name, *names = step.split()
        parents = [nodes[one] for one in (reversed(names) if turned else names)]
        head = max(parents, key=lambda one: one.state.seq, default=None)
        if word in ("good", "open"):
            event = BranchOpened(id=maker.op(), seq=1, session="gitcoord-init", at=T0 + timedelta(seconds=number))
            blank = histories.Node(0, {}, State(), {}, T0)
            at = event.at
            if head is not None:
                event = maker.event(head, number, 21 + 105 * number) or pytest.fail("no event")
                at = max(head.state.at, event.at)
            state, files = maker.true_files(head or blank, event, at)
            nodes[name] = maker.commit(parents, files, histories.text_of(event), at=at, said=event.at, state=state)
        else:
            files = {**(head.files if head else {}), f"{name}.txt": ("100644", b"x")}
            nodes[name] = maker.commit(parents, files, word, at=T0)
    oids = maker.write(library.path)
    return {name: oids[node.mark - 1] for name, node in nodes.items()}, oids[:began]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("turned", [False, True])
def test_good_events_stand_on_one_line_or_it_is_an_alarm(library: Library, shape: str, turned: bool) -> None:
    steps, good = SHAPES[shape]
    made, began = _shaped(library, steps, turned=turned)
    tip = made[steps[-1].split()[1]]
    fresh = library.verdict(tip)
    parents_of = library.parents(tip)
    for oid in [oid for oid in (*began, *made.values()) if oid in parents_of]:  # whoever had seen any of it
        known = library.verdict(oid)
        if isinstance(known, Checked) and known.good:
            assert library.verdict(tip, known) == fresh
    if good is None:
        assert fresh == "divided"
    else:
        assert isinstance(fresh, Checked)
        assert fresh.seq == len(began) + good
        assert {one.commit for one in fresh.bad} == set(parents_of) - set(began) - {
            made[step.split()[1]] for step in steps if step.startswith("good")
        }


def test_a_merge_from_before_what_is_known_needs_no_check_of_the_whole_history(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = _shaped(library, ["good a 0", "good b a", "edit c 0", "edit d c", "merge m d b", "good e m", "merge n d e"])
    whole = library.objects.range
    for known, tip in (("b", "m"), ("e", "n")):
        before = library.verdict(made[known])
        assert isinstance(before, Checked)
        fresh = library.verdict(made[tip])
        with monkeypatch.context() as patch:
            patch.setattr(library.objects, "range", lambda tip, known="": whole(tip, known) if known else pytest.fail("all"))
            assert library.verdict(made[tip], before) == fresh


def test_the_moves_make_good_commits_and_bad_ones_of_all_kinds(library: Library) -> None:
    """What the other tests rest on: histories that are neither all good nor all bad, and every reason there is."""
    good, reasons = 0, Counter[str]()
    words = sorted(histories.MOVES) * 3
    for seed in range(20):
        plan = []
        for number, word in enumerate(words):
            if word == "fork" and seed % 4:  # most histories with forks end in an alarm, and then nobody looks at the rest
                continue
            some = (seed * 7919 + number * 104729) % 9973
            plan += [("good", some * 3, some * 5, 0), (word, some, some * 11, number)]
        tip = histories.make(plan).write(library.path)[-1]
        if library.verdict(tip) == "divided":
            continue
        checked, _, _ = library.read(tip)
        good += checked.seq
        reasons.update(one.reason for one in checked.bad)
    said = " / ".join(reasons)
    for reason in (
        "a merge", "no event of this branch", "its seq is", "is used already", "which its event doesn't", "not a plain file",
        "is not what its event says", "its date can't be", "can't be read",
    ):  # fmt: skip
        assert reason in said, reason
    assert good > 100
    assert sum(reasons.values()) > 100


# --- a program goes on -------------------------------------------------------------------------------------------------


class Noted(Event):
    """A kind of the next version: it touches no record."""

    kind: ClassVar[str] = "note.taken"
    known: ClassVar[bool] = False
    note: str = ""

    def headline(self) -> str:
        return f"note: {self.note}"

    def evolve(self, draft: Draft) -> None:
        """Nothing."""

    def problem(self, state: State, committed_at: object) -> str | None:
        return None


class TakeNote(Command):
    """Asks for one."""

    kind: ClassVar[str] = "note.take"
    note: str = ""


class RaiseFormat(Command):
    """What the next version does when all are to follow."""

    kind: ClassVar[str] = "format.raise"


def _note(state: State, command: TakeNote, clock: Clock) -> Event:
    return Noted(id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, note=command.note)


def _raise(state: State, command: RaiseFormat, clock: Clock) -> Event:
    return branch.FormatRaised(id=command.op, seq=state.seq + 1, session=command.session, run_id="", at=command.at, format=2)


def submit(found: Connection, kind: type[Command], **fields: Any) -> Receipt:
    """Has the session that acts there submit that command."""
    sessions = found.coordinator.sessions
    return sessions.commands.submit(kind, sessions.current(kind), **fields).receipt


@contextmanager
def next_version(seat: Seat, session: str) -> Iterator[Connection]:
    """The program as it may be one day: it knows one more event, and format 2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rules.EVENTS, Noted.kind, Noted)
        for command, decide in ((TakeNote, _note), (RaiseFormat, _raise)):
            patch.setitem(rules._DECIDE, command, decide)
            patch.setitem(rules.COMMANDS, command.kind, command)
        patch.setattr(records, "FORMAT", 2)
        with connect(str(seat.path), seat.env, session=session) as found:
            yield found


@fewest
@given(plan=histories.moves)
@example(plan=EVERY_MOVE)
@example(plan=PULLS[1])
def test_a_program_goes_on_and_versions_undo_nothing_of_each_other(
    remotes: RemoteFactory, tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[str, int, int, int]]
) -> None:
    remote = remotes.make("file")
    folder = tmp_path_factory.mktemp("seats")
    maker = histories.make(plan)
    oids = maker.write(remote.path)
    path = [node.mark for node in maker.nodes]
    middle, tip = oids[path[2] - 1], oids[-1]

    def clone(name: str) -> Path:
        git(folder, "clone", "--quiet", remote.url, name)
        return folder / name

    def put(oid: str) -> None:
        git(remote.path, "update-ref", "refs/heads/coordination", oid)

    put(middle)
    old, young = (Seat(clone(name), folder / f"outbox-{name}", name) for name in ("old", "young"))
    with old.here() as found:
        found.coordinator.branch.view()
    put(tip)
    with old.here() as found:
        try:
            before = found.coordinator.branch.view(fresh=True).checked
        except Divided:  # nobody writes there
            return
        found.coordinator.sessions.start("zoe")
        claims = found.coordinator.claims.acquire(file("only/zoe.py")).claims
        assert [one.claimed_by for one in claims] == ["zoe"]
        view = found.coordinator.branch.view(fresh=True)
        verdict = found.coordinator.branch.verify()
        assert verdict.ok, verdict
        assert view.checked.seq == before.seq + 2
        assert view.checked.unmended == ()
        state = plain(view.state)
    with connect(str(young.path), young.env) as found:  # a clone that checks everything from the root
        other = found.coordinator.branch.view()
        assert other.checked == view.checked
        assert plain(other.state) == state
        assert found.coordinator.branch.verify().ok
    # This version, a fresh clone and the next version in turn: every event of each stands.
    with next_version(young, "young") as found:
        wrote = [found.coordinator.sessions.start("young")[1]]
    for number in range(2):
        with next_version(young, "young") as found:
            wrote.append(submit(found, TakeNote, note=f"note {number}"))
        with connect(str(old.path), old.env, session="zoe") as found:
            wrote.append(found.coordinator.claims.acquire(file(f"only/zoe-{number}.py")).receipt)
        new = Seat(clone(f"new-{number}"), folder / f"outbox-new-{number}")
        with new.here() as found:
            wrote.append(found.coordinator.sessions.start(f"new-{number}", new=True)[1])
    with next_version(young, "young") as found:
        wrote.append(submit(found, RaiseFormat, run_id=""))
        wrote.append(submit(found, TakeNote, note="in the new format"))
    assert [one.seq for one in wrote] == list(range(before.seq + 3, before.seq + 3 + len(wrote)))
    good = {}
    for seat, reader in ((old, connect), (young, None)):
        context = connect(str(seat.path), seat.env, session="zoe") if reader else next_version(seat, "young")
        with context as found:
            view = found.coordinator.branch.view(fresh=True)
            assert view.checked.unmended == ()
            seen: list[Good] = []
            found.coordinator.log.replay(view.checked.tip, seen.append)
            good[seat.path.name] = {one.commit for one in seen}
            assert {one.commit for one in wrote} <= good[seat.path.name]
            assert {one.resource_name for one in view.state.claims.values()} >= {"only/zoe.py", "only/zoe-0.py", "only/zoe-1.py"}
    assert good["old"] == good["young"]
    with connect(str(old.path), old.env, session="zoe") as found, pytest.raises(TooOld):
        found.coordinator.claims.acquire(file("too/late.py"))

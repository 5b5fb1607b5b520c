"""Does the history give what lies on the branch? Replays every event and compares: trees, boards, commits that are ignored."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gitcoord.coordinator.parts import KeptTable
from gitcoord.errors import Rewritten
from gitcoord.git.objects import BLOB_LIMIT
from gitcoord.git.repo import Oid
from gitcoord.log.eventlog import EventLog
from gitcoord.log.history import Bad, Checked, Good
from gitcoord.views import board as board_view
from gitcoord.views import tree

_BOARDS = 500  # newest boards that are drawn again: drawing one takes ten times as long as replaying its event


Replay = Callable[[Oid, Callable[[Good], None]], Checked | None]


@dataclass(frozen=True)
class Problem:
    """A commit where history, tree or board do not agree, and what that means."""

    commit: Oid
    reason: str
    effect: str
    open: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a replay of the whole history found."""

    commits: int
    events: int
    problems: tuple[Problem, ...]
    tip: Oid
    began: int = 1
    """The number of the first event that was replayed."""
    resumed: int = 0
    """The event after which this went on, where an earlier comparison was stopped; 0 if it began at the beginning."""

    @property
    def ok(self) -> bool:
        """Whether history, tree and board agree at the tip: every bad commit before it is mended."""
        return not any(problem.open for problem in self.problems)


@dataclass(frozen=True)
class _Way:
    """Holds how far a comparison of every commit has come: what was checked, the board there, and the problems so far."""

    checked: Checked = field(default_factory=Checked)
    board: Oid = ""
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Verifier:
    """Verifies one branch. `kept`: how far a comparison of every commit has come, for when it is stopped."""

    log: EventLog
    kept: KeptTable

    def verify(self, known: Checked, *, full: bool = False) -> Verdict:
        """Replays the whole history and compares it with what each commit changed, with the newest boards, and with the newest
        tree (`full`: with the board and the tree of every commit, and through all archives that can be had; where an earlier one
        was stopped, it goes on from there).
        """
        found = None if full else self._verify(known, full=False, replay=self.log.replay_halves)
        found = found or self._verify(known, full=full, replay=self.log.replay)
        assert found is not None
        return found

    def _verify(self, known: Checked, *, full: bool, replay: Replay) -> Verdict | None:
        way = self._stopped() if full else _Way()
        problems, board_oid = way.problems, way.board
        last: list[Good] = []

        def upto(checked: Checked) -> None:
            if full and last and last[0].commit == checked.good:  # else somebody is still to be told of some of them
                self._note(_Way(checked, board_oid, problems))

        def look(good: Good) -> None:
            nonlocal board_oid
            before, board_oid = board_oid, good.pages.get(tree.BOARD, board_oid)
            last[:] = [good]
            if full:
                problems.extend(self._compare_tree(good))
            drawn = board_oid != before  # one that stays is the next commit's to draw, the last one of their push
            if drawn and good.writer == self.log.writer and (full or good.event.seq > known.seq - _BOARDS):
                expected = self.log.objects.blob_oid(board_view.render(good.state).encode())
                if expected != board_oid:
                    problems.append(Problem(good.commit, "its board is not what its state gives", "display only"))

        older = list(self.log.archives.behind(known, fetch=True)) if full else []
        checked: Checked | None
        if way.checked.good:
            try:
                checked = self.log.replay(known.tip, look, way.checked, upto)
            except Rewritten:  # the branch is another one since
                self.kept.write(b"")
                return self._verify(known, full=full, replay=replay)
        elif full:
            first = self.log.replay(older[-1].checked.tip, look, upto=upto) if older else None
            checked = self.log.replay(known.tip, look, first, upto)
        else:
            checked = replay(known.tip, look)
        if checked is None:
            return None
        if full:
            self.kept.write(b"")
        for bad in checked.bad:
            mended = bad.seq < checked.seq
            effect = f"ignored; mended by event {bad.seq + 1}" if mended else "ignored; the next event mends it"
            problems.append(Problem(bad.commit, bad.reason, effect, open=not mended))
        if last and not full:
            problems += self._compare_tree(last[0])
        tips = [known.tip, *(one.checked.tip for one in older)]
        commits = sum(len(self.log.objects.range(tip) or []) for tip in tips)
        began = older[-1].checked.before if older else checked.before
        return Verdict(commits, checked.seq, tuple(problems), known.tip, began + 1, way.checked.seq)

    def _stopped(self) -> _Way:
        """Return how far an earlier comparison had come, if this program made it and the history bears it out."""
        try:
            kept = json.loads(self.kept.read() or b"{}")
            if kept.pop("sum") != zlib.crc32(json.dumps(kept).encode()) or kept["writer"] != self.log.writer:
                return _Way()
            checked = replace(Checked(*kept["checked"]), bad=tuple(Bad(*one) for one in kept["bad"]))
            way = _Way(checked, kept["board"], [Problem(*one) for one in kept["problems"]])
        except (ValueError, TypeError, KeyError):
            return _Way()
        return way if self.log.bears_out(checked) else _Way()

    def _note(self, way: _Way) -> None:
        one = way.checked
        kept = {
            "writer": self.log.writer, "checked": [one.tip, one.good, one.seq, [], one.before],
            "bad": [[bad.commit, bad.reason, bad.seq] for bad in one.bad], "board": way.board,
            "problems": [[each.commit, each.reason, each.effect, each.open] for each in way.problems],
        }  # fmt: skip
        self.kept.write(json.dumps({**kept, "sum": zlib.crc32(json.dumps(kept).encode())}).encode())

    def _compare_tree(self, good: Good) -> list[Problem]:
        """The whole tree of a good commit against the state that its history gives."""
        found = {entry.path: entry.oid for entry in self.log.objects.tree(good.commit)}
        found = {path: oid for path, oid in found.items() if path not in (tree.BOARD, tree.README)}
        wrong = []
        for path, record in tree.all_files(good.state).items():
            oid = found.pop(path, None)
            if oid is None:
                wrong.append(f"{path} is missing")
            elif oid != self.log.objects.blob_oid(tree.render(record)):
                table = tree.table_of(path)
                data = self.log.objects.read([oid], BLOB_LIMIT)[0]
                other = tree.parse(table, data) if table and data is not None else None
                if other is None or not tree.same_meaning(tree.completed(other, good.state), record):
                    wrong.append(f"{path} is not what the history gives")
        wrong += [f"{path} is in no event" for path in found]
        return [Problem(good.commit, reason, "the tree and the history disagree", open=True) for reason in wrong]

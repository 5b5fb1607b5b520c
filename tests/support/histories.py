"""Histories made by hand: what a program writes, and between that whatever somebody with push rights may push.

A history is a list of moves, each a word and two numbers; the same moves give the same commits, byte for byte. The maker
has a guess at what is good, so that good events go on behind bad commits; no test asks the guess.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gits import git
from hypothesis import strategies as st
from pure_branch import T0, Story, stamp

from gitcoord.core import rules
from gitcoord.core.branch import BranchOpened
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Event
from gitcoord.core.state import State
from gitcoord.errors import GitcoordError
from gitcoord.log import wire
from gitcoord.log.history import Projection
from gitcoord.views.projection import TreeProjection
from gitcoord.views.tree import BOARD, table_of

PLAIN = "100644"
PROJECTION: Projection = TreeProjection()
SESSIONS = ("ada", "ben", "cat")
NAMES = ("x", "src/api.py", "src/*.py", "droplet:one", "ü/\u202eodd")
TEXTS = (
    "text\n\nmore", "\u2028\x1c\x85line", "\U0001fae9 \u1c89 \U00016d40", "a\u00a0b\u3000", "xmpp:a@b www.x.y MAILTO:z",
    "\x1b[2J\r\n",
    "\u200b\U000e0041", "`*_~|<b>&", "\u0130\u212a",
)  # fmt: skip
"""Texts that an escape, a table of Unicode (characters of 2024 too) or a board could trip over."""
Files = dict[str, tuple[str, bytes]]  # path → mode, content


@dataclass(frozen=True, eq=False)
class Node:
    """A commit of the history: where it stands, its tree, and the last good state as the maker believes it."""

    mark: int
    files: Files
    state: State
    good: Files
    at: datetime


@dataclass
class Maker:
    """Makes a history, as a feed for `git fast-import`, move by move."""

    feed: list[bytes] = field(default_factory=list)
    heads: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    ops: int = 0

    # --- commits -----------------------------------------------------------------------------------------------------

    def commit(
        self, parents: Sequence[Node], files: Files, message: bytes | str, *, at: datetime, said: datetime | None = None,
        state: State | None = None,
    ) -> Node:  # fmt: skip
        """A commit with exactly that tree. `state`: the maker takes it for good."""
        mark = len(self.nodes) + 1
        text = message.encode() if isinstance(message, str) else message
        lines = [f"commit refs/heads/made\nmark :{mark}\n"]
        for role, when in (("author", said or at), ("committer", at)):
            lines.append(f"{role} hand <hand@example.org> {int(when.timestamp())} +0000\n")
        out = "".join(lines).encode() + b"data %d\n%b\n" % (len(text), text)
        if parents:
            out += b"from :%d\n" % parents[0].mark + b"".join(b"merge :%d\n" % parent.mark for parent in parents[1:])
        else:
            out = b"reset refs/heads/made\n" + out
        out += b"deleteall\n"
        for path, (mode, data) in files.items():
            quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
            out += f"M {mode} inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"
        self.feed.append(out + b"\n")
        best = max(parents, key=lambda one: one.state.seq) if parents else None
        known = best.state if best else State()
        node = Node(mark, files, state or known, files if state else best.good if best else {}, at)
        self.nodes.append(node)
        return node

    def write(self, repo: Path) -> list[str]:
        """Writes it all into a repository; the commits' names, in the order of their marks."""
        ends = [f"get-mark :{number}\n" for number in range(1, len(self.nodes) + 1)]
        text = b"feature done\n" + b"".join(self.feed) + "".join(ends).encode() + b"done\n"
        return git(
            repo, "fast-import", "--quiet", "--force", "--date-format=raw", stdin=text.decode("utf-8", "surrogateescape")
        ).split()

    # --- events ------------------------------------------------------------------------------------------------------

    def op(self) -> str:
        """The next operation's id."""
        self.ops += 1
        self.used.append(f"op{self.ops:05}")
        return self.used[-1]

    def event(self, head: Node, pick: int, other: int) -> Event | None:
        """An event that a program might decide there; None when it would refuse."""
        story = Story(now=max(head.state.at, T0) + timedelta(seconds=other % 4000), state=head.state)
        story.runs = {name: one.run_id for name, one in head.state.sessions.items()}
        who = SESSIONS[pick % 3]
        name, to = NAMES[other % len(NAMES)], SESSIONS[(pick + 1) % 3]
        op = self.op()
        story.op = lambda: op  # type: ignore[method-assign]
        does = (
            lambda: story.claim(who, name), lambda: story.claim(who, name, mode="shared"), lambda: story.release(who, name),
            lambda: story.beat(who, f"doing {other}"), lambda: story.send(who, to, f"note {other}",
            message=TEXTS[other % len(TEXTS)]),
            lambda: story.send(who, "broadcast", "to all"), lambda: story.take(who),
            lambda: story.start(who) if who not in head.state.sessions else story.renew(who, name),
            lambda: story.setting(who, "takeover_after", str(600 + other)),
            lambda: story.release(who, name, next_phase="DONE", done=TEXTS[other % len(TEXTS)]),
            lambda: story.end(who) if other % 5 == 0 else story.beat(who, "still"),
            lambda: story.handoff(who, to if other % 2 else "anyone", next=f"go on {TEXTS[other % len(TEXTS)]}"),
            lambda: story.accept(who, next(key for key, one in head.state.handoffs.items() if one.status == "open")),
            lambda: story.supersede(who, to),
            lambda: story.end(who, to="anyone") if other % 3 == 0 else story.handoff(who),
        )  # fmt: skip
        try:
            does[other // 7 % len(does)]()
        except (GitcoordError, AssertionError, StopIteration):  # a start that needed no event ends in an assertion of the story's
            return None
        return story.past[-1].event if story.past else None

    def true_files(self, head: Node, event: Event, at: datetime) -> tuple[State, Files]:
        """State and tree after a good event: written on the last good tree, so whatever is bad goes."""
        after = rules.evolve(head.state, event, at)
        files = dict(head.good)
        for path, record in PROJECTION.changes(head.state, after).items():
            if record is None:
                files.pop(path, None)
            else:
                files[path] = (PLAIN, PROJECTION.render(record))
        for path, data in PROJECTION.pages(after, first=head.state.seq == 0).items():
            files[path] = (PLAIN, data)
        return after, files


def text_of(event: Event) -> str:
    """Its commit message."""
    return wire.encode(event, writer="0.1.0", skip_ci=True)


def _records(files: Files, root: str = "") -> list[str]:
    return sorted(path for path in files if table_of(path) is not None and path.startswith(root))


# --- the moves: each gives the new head ------------------------------------------------------------------------------


def good(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """What a program writes."""
    event = maker.event(head, a, b)
    if event is None:
        return None
    at = stamp(head.state, event.at)
    state, files = maker.true_files(head, event, at)
    return maker.commit([head], files, text_of(event), at=at, said=event.at, state=state)


def far_date(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """An event whose commit is dated far ahead, or far behind."""
    event = maker.event(head, a, b)
    if event is None:
        return None
    at = datetime((1971, 1999, 2000, 2024, 2031, 2199, 2201)[b % 7], 1, 1 + a % 28, tzinfo=UTC)
    if rules.problem(head.state, event, at) is not None:
        return maker.commit([head], head.files, text_of(event), at=at, said=event.at)
    state, files = maker.true_files(head, event, at)
    return maker.commit([head], files, text_of(event), at=at, said=event.at, state=state)


def edit(maker: Maker, head: Node, a: int, b: int) -> Node:
    """A record changed, broken or taken away by hand."""
    paths = _records(head.files)
    path = paths[a % len(paths)]
    files = dict(head.files)
    data = files[path][1]
    new = (data.replace(b"ada", b"ben"), b'{"half', b"", data + b" ", b"\xff\xfe", b"[" * 3000, None)[b % 7]
    if new is None:
        del files[path]
    else:
        files[path] = (PLAIN, new)
    return maker.commit([head], files, "I know better", at=head.at)


def theft(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """A claim that somebody writes over another's, with an event or without."""
    paths = _records(head.files, "claims/")
    if not paths:
        return None
    path = paths[a % len(paths)]
    try:
        record = json.loads(head.files[path][1])
        thief = next(one for one in SESSIONS if one != record["claimed_by"])
        name = f"{record['resource_type']}:{record['resource_name']}"
        taken = f"{record['fence']} {record['claimed_by']} expired {name}"
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    files = {**head.files, path: (PLAIN, json.dumps({**record, "claimed_by": thief}, indent=2).encode())}
    if b % 2:
        return maker.commit([head], files, "mine now", at=head.at)
    at, seq = head.state.at, head.state.seq + 1
    session = head.state.sessions.get(thief)
    event = ClaimAcquired(
        id=maker.op(), seq=seq, session=thief, run_id=session.run_id if session else "", at=at, resources=(name,), ttl_seconds=600,
        expires_at=at + timedelta(seconds=600), taken=(taken,) if b % 4 else (),
    )  # fmt: skip
    _, honest = maker.true_files(head, event, at)
    return maker.commit([head], honest, text_of(event), at=at)


def foreign(maker: Maker, head: Node, a: int, b: int) -> Node:
    """A file that no event makes: elsewhere, or among the records."""
    places = (
        "notes.txt",
        "claims/odd",
        "waiting/x",
        "sessions/zed.json",
        "messages/direct/ada/m.json",
        "src/main.py",
        "handoffs/a/b",
        "claims/\U0001fae9\u202e",
        "waiting/\u1c89 'x'",
    )
    return maker.commit([head], {**head.files, places[a % len(places)]: (PLAIN, b"%d" % b)}, f"add {b}", at=head.at)


def board(maker: Maker, head: Node, a: int, b: int) -> Node:
    """The board, edited or away: it is no record."""
    files = {**head.files, BOARD: (PLAIN, b"all is well\n")}
    if b % 2:
        del files[BOARD]
    return maker.commit([head], files, "tidy the board", at=head.at)


def board_with_event(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """A good event with another board, which is good, or with another file, a board that is no plain file, or another README."""
    event = maker.event(head, a, b)
    if event is None:
        return None
    at = stamp(head.state, event.at)
    state, files = maker.true_files(head, event, at)
    more: Files = (
        {BOARD: (PLAIN, b"%d\n" % a)}, {"extra.txt": ("120000", b"/etc/passwd")}, {BOARD: ("120000", b"/etc/passwd")},
        {"README.md": (PLAIN, b"hello")}, {".github/workflows/x.yml": (PLAIN, b"on: push")}, {"claims/.odd/x": (PLAIN, b"x")},
    )[b % 6]  # fmt: skip
    fine = state if b % 6 == 0 else None
    return maker.commit([head], {**files, **more}, text_of(event), at=at, said=event.at, state=fine)


def forged(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """An event with a false number, id, session, run or fence, and the tree that it would make."""
    event = maker.event(head, a, b)
    if event is None:
        return None
    other = SESSIONS[(a + 1) % 3]
    known = next(iter(head.state.messages), maker.used[b % len(maker.used)])
    lies = (
        {"seq": event.seq + 1}, {"seq": event.seq - 1}, {"seq": 0}, {"seq": 2**53}, {"id": known},
        {"session": other}, {"run_id": "nobody"}, {"session": "zed"}, {"lapsed": "too late"}, {"removed": ("session ada",)},
        {"abandoned": (other,)}, {"ignored": ("x" * 40 + " nothing",)}, {"run_id": ""}, {"released": ("3 file:x",)},
        {"taken": (f"4 {other} broken file:x",)}, {"id": f"{b % 90}-{maker.op()}"}, {"id": f"{b:010}-{maker.op()}"},
    )  # fmt: skip
    lie = {key: value for key, value in lies[a // 3 % len(lies)].items() if key in type(event).model_fields}
    if event.makes and a % 4 == 0:  # only what makes a record can take the place of one
        lie = {"id": known}
    event = event.model_copy(update=lie)
    at = stamp(head.state, event.at)
    state, files = maker.true_files(head, event, at)
    fine = rules.problem(head.state, event, at) is None
    return maker.commit([head], files, text_of(event), at=at, said=event.at, state=state if fine else None)


def untrue(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """A valid event whose tree says something else: a record more, less, other, or no plain file."""
    event = maker.event(head, a, b)
    if event is None:
        return None
    at = stamp(head.state, event.at)
    _, files = maker.true_files(head, event, at)
    changed = [path for path in _records(files) if files[path] != head.good.get(path)]
    paths = changed if a % 2 and changed else _records(files)
    path = paths[a // 2 % len(paths)]
    mode, data = files[path]
    files[path] = (
        (mode, data + b"\n"), (mode, b"{}"), (mode, data.replace(b"ada", b"ben")), (mode, data.replace(b"2025", b"2031")),
        ("100755", data), ("120000", data), ("120000", b"/dev/zero"),
    )[b % 7]  # fmt: skip
    return maker.commit([head], files, text_of(event), at=at, said=event.at)


def spelled(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """An event, one value of which is spelled as some library or some Python might read it, and the tree that it would make."""
    event = maker.event(head, a, b)
    if event is None:
        return None
    at = stamp(head.state, event.at)
    _, files = maker.true_files(head, event, at)
    head_, _, last = text_of(event).rstrip("\n").rpartition("\n\n")
    lines = last.split("\n")
    number = a % len(lines)
    title, _, value = lines[number].partition(": ")
    first, blank, rest = value.partition(" ")
    odd = (
        f"{title}: {value} ", f"{title}:  {value}", f"{title}: +{value}", f"{title}: 0{value}", f"{title}: {value}.0",
        f"{title}: {value}\n{title}: {value}",
        f"{title}: {value.replace('T', ' ')}", f"{title}: {value.replace('Z', '+00:00')}", f"{title}: 2025-11-15T24:00:00Z",
        f"{title}: 1_0", f"{title}: t",
        f"{title}: \u0661{blank}{rest}", f"{title}: 0{first}{blank}{rest}", f"{title}: {first} {blank}{rest}",
        f"{title}: {value}\\u{{A}}",
        f"{title}: \\u{{30}}{value}", f"{title}: {value.upper()}", f"{title}: {value}\nCoord-Ignored: <b>@everyone</b> call me",
        f"{title}: {value}\nCoord-Commit: --output=x", f"{title}: {value}\nCoord-Branch: x; touch y",
        f"{title}: {value}\nCoord-Later: 1\nCoord-Later: 2",
        f"{title}: {value}\nCoord-Coordination: no", f"{title}: {value}\nCoord-Eta: 2025-02-29T10:00:00Z",
        f"{title}: {value}\nCoord-Folded: 1e2",
    )  # fmt: skip
    lines[number] = odd[b % len(odd)]
    return maker.commit([head], files, head_ + "\n\n" + "\n".join(lines) + "\n", at=at, said=event.at)


def midnight(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """A heartbeat whose work is done at midnight, spelled as the hour 24 of the day before: a time for some Pythons."""
    story = Story(
        now=max(head.state.at, T0), state=head.state, runs={name: one.run_id for name, one in head.state.sessions.items()}
    )
    day = story.now.replace(hour=0, minute=0, second=0) + timedelta(days=1 + b % 9)
    op = maker.op()
    story.op = lambda: op  # type: ignore[method-assign]
    try:
        event = story.beat(SESSIONS[a % 3], "soon", estimated_completion=day)
    except GitcoordError:  # it goes on where there is no branch, or an alarm
        return None
    at = stamp(head.state, event.at)
    _, files = maker.true_files(head, event, at)
    odd = f"{day - timedelta(days=1):%Y-%m-%dT24:00:00Z}"
    return maker.commit([head], files, text_of(event).replace(f"{day:%Y-%m-%dT%H:%M:%SZ}", odd), at=at, said=event.at)


def respelled(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """An event, one of whose records is JSON of another spelling: another layout, what a later version adds,
    or what no grammar has."""
    event = maker.event(head, a, b)
    if event is None:
        return None
    at = stamp(head.state, event.at)
    _, files = maker.true_files(head, event, at)
    changed = [path for path in _records(files) if files[path] != head.good.get(path)]
    if not changed:
        return None
    path = changed[a % len(changed)]
    text = files[path][1].decode()
    record = json.loads(text)
    key = sorted(record)[a % len(record)]
    value = json.dumps(record[key])
    more = ('"later": {"a": [1.50, -0.0, 1e5, null, "\\ud83d\\ude42"]}', '"later": NaN', '"later": "\\ud800"',
    '"later": ' + "[" * 40 + "]" * 40,
            '"later": 1, "later": 1', '"later": ' + "9" * 5000, '"later": 1e999', f'"{key}": {value}', '"later": 01')  # fmt: skip
    files[path] = (PLAIN, (
        json.dumps(record).encode(), json.dumps(record, indent="\t", ensure_ascii=False).encode("utf-8", "surrogatepass"),
        json.dumps(dict(reversed(record.items()))).encode(), json.dumps({**record, key: str(record[key])}).encode(),
        json.dumps({**record, key: float(record[key]) if isinstance(record[key], int) else [record[key]]}).encode(),
        json.dumps({one: value for one, value in record.items() if one != key}).encode(), b"\xef\xbb\xbf" + text.encode(),
        *(text.replace("{", "{" + one + ",", 1).encode() for one in more),
    )[b % (7 + len(more))])  # fmt: skip
    return maker.commit([head], files, text_of(event), at=at, said=event.at)


def strange(maker: Maker, head: Node, a: int, b: int) -> Node:
    """A kind of event that nobody knows; good only where it touches no record. Or a later format that was never announced."""
    seq = head.state.seq + 1
    trailers = [f"Coord-Event: note.{a}", f"Coord-Id: {maker.op()}", f"Coord-Seq: {seq}", "Coord-Session: ada", "Coord-New: 1"]
    message = "a later kind\n\n" + "\n".join(trailers) + "\n"
    at = head.state.at + timedelta(seconds=b % 100)
    files = dict(head.good)
    if b % 3 == 0:
        files["gitcoord.json"] = (PLAIN, b'{"format": 9}\n')
    elif b % 3 == 1:
        files["sessions/ada.json"] = (PLAIN, b"{}")
    else:
        files[BOARD] = (PLAIN, b"fine")
        return maker.commit([head], files, message, at=at, state=replace(head.state, seq=seq, at=at, touched={}))
    return maker.commit([head], files, message, at=at)


def empty(maker: Maker, head: Node, a: int, b: int) -> Node:
    """A commit that changes nothing and says nothing, or says it in a way that can't be read."""
    said = (
        b"",
        b"wip",
        b"\xff\xfe",
        b"x\n\nCoord-Event: claim.acquired",
        b"s\n\nCoord-Id: \\u{D800}\nCoord-Event: x",
        b"a\x0cb" * 50,
    )
    return maker.commit([head], head.files, said[b % len(said)], at=head.at)


def fork(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """Somebody's clone stays behind: a second head at an earlier commit, where work goes on."""
    behind = maker.nodes[a % len(maker.nodes)]
    if len(maker.heads) < 3 and behind not in maker.heads:
        maker.heads.append(behind)
    return None


def merge(maker: Maker, head: Node, a: int, b: int) -> Node | None:
    """`git pull` and push: theirs first or ours first, with either tree."""
    others = [one for one in maker.heads if one is not head]
    if not others:
        return None
    other = others[a % len(others)]
    maker.heads.remove(other)
    parents = [head, other] if b % 2 else [other, head]
    files = (head.files, other.files, {**head.files, **other.files})[b // 2 % 3]
    return maker.commit(parents, files, "Merge branch 'coordination'", at=max(head.at, other.at))


def strangers(maker: Maker, head: Node, a: int, b: int) -> Node:
    """The code, with its own root, is merged into the branch."""
    root = maker.commit([], {"main.py": (PLAIN, b"print(%d)" % a)}, "code", at=T0)
    parents = [head, root] if b % 2 else [root, head]
    return maker.commit(parents, {**head.files, **root.files}, "Merge branch 'main'", at=head.at)


MOVES = {
    move.__name__: move
    for move in (
        good, far_date, edit, theft, foreign, board, board_with_event, forged, untrue, spelled, midnight, respelled, strange,
        empty, fork,
        merge, strangers,
    )
}  # fmt: skip

_NUMBERS = st.integers(0, 9999)
moves = st.lists(
    st.tuples(st.just("good") | st.sampled_from(sorted(MOVES)), _NUMBERS, _NUMBERS, st.integers(0, 2)), min_size=4, max_size=24
)
"""Any history: word, two numbers that the move makes its choices by, and the head that it goes on at."""


def make(plan: Sequence[tuple[str, int, int, int]]) -> Maker:
    """Plays the moves; at the end all heads are merged into one."""
    maker = Maker()
    opening = BranchOpened(id=maker.op(), seq=1, session="gitcoord-init", at=T0)
    blank = Node(0, {}, State(), {}, T0)
    state, files = maker.true_files(blank, opening, T0)
    maker.heads = [maker.commit([], files, text_of(opening), at=T0, state=state)]
    for number in (0, 1):  # ada and ben start; cat perhaps later
        story = Story(now=T0, state=maker.heads[0].state)
        op = maker.op()
        story.op = lambda op=op: op  # type: ignore[method-assign,misc]
        event = story.start(SESSIONS[number])
        state, files = maker.true_files(maker.heads[0], event, T0)
        maker.heads = [maker.commit([maker.heads[0]], files, text_of(event), at=T0, state=state)]
    for word, a, b, which in plan:
        head = maker.heads[which % len(maker.heads)]
        moved = MOVES[word](maker, head, a, b)
        if moved is not None:
            maker.heads[maker.heads.index(head)] = moved
    while len(maker.heads) > 1:
        one, two = maker.heads[:2]
        maker.heads[:2] = [maker.commit([two, one], one.files, "Merge", at=max(one.at, two.at))]
    return maker

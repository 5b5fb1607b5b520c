"""What somebody needs who has to merge the work of two sessions: where they collide, both changes, and what both say of them.

Pure, and bounded in bytes. All that the sessions wrote, code included, stands between marks that nobody can guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gitcoord.core import leases
from gitcoord.core.names import show
from gitcoord.core.state import State
from gitcoord.core.times import spell
from gitcoord.core.touches import spelled
from gitcoord.views import collisions, quoting
from gitcoord.views.collisions import CollisionLike

LIMIT = 8192  # bytes of all of it
_SHARE = 70  # per cent of the room that the changes may take
_MESSAGES = 6
_LINE, _LONG = 200, 400  # bytes of a line of code, or of what somebody said
_FILES = 8


def brief(
    state: State, sessions: tuple[str, str], found: Sequence[CollisionLike], diffs: Mapping[tuple[str, str], str], *, nonce: str
) -> str:  # fmt: skip
    """Return the brief. `diffs`: by session and file, what it has committed there; `nonce`: what the marks are made of, new and
    random each time.
    """
    head = f"gitcoord: {sessions[0]} and {sessions[1]} as of event {state.seq}, {spell(state.at)}. Lines count in the commit that "
    head += "both come from.\n"
    foot = "Say who does what: gitcoord send SESSION TEXT; once it is merged: gitcoord conflicts\n"
    room = LIMIT - len((head + foot).encode()) - quoting.size(nonce)
    where = [f"{one.kind}: {collisions.line(one, '')}" for one in found] or ["nothing collides, as far as can be told"]
    said = [line for name in sessions for line in _says(state, name)] + list(_messages(state, sessions))
    lines = _within(where, room * (100 - _SHARE) // 200)
    lines += _within(said, room * (100 - _SHARE) // 100 - _size(lines))
    paths = list(dict.fromkeys(place.path for one in found if one.kind != "near" for place in one.files))[:_FILES]
    each = (room - _size(lines)) // max(1, 2 * len(paths))
    for path in paths:
        for name in sessions:
            code = diffs.get((name, path), "")
            shown = [f"{name} in {show(path, _LINE)}:", *(_cut(line, _LINE) for line in code.splitlines())] if code else []
            lines += _within(shown or [f"{name} in {show(path, _LINE)}: not pushed yet, so only its lines are known"], each)
    return head + quoting.quoted(_within(lines, room), nonce) + foot


def _says(state: State, name: str) -> Iterator[str]:
    """What that session says it does."""
    session, beat = state.sessions.get(name), state.heartbeats.get(name)
    if session is None:
        return
    phase = f", {_cut(session.phase, 60)}" if session.phase else ""
    yield f"{name}: {_cut(session.current_work or session.status, _LONG)}{phase}"
    if beat is not None:
        for label, text in (("next", beat.next_action), ("blocked by", beat.blocked_by)):
            if text:
                yield f"{name}, {label}: {_cut(text, _LONG)}"
        if beat.touches:
            shown = ", ".join(f"{touched.path}:{spelled(touched.touch.spans)}".rstrip(":") for touched in beat.touches[:_FILES])
            yield f"{name} changed {_cut(shown, _LONG)} since {spell(min(touched.since for touched in beat.touches))}"
    for lease in leases.held_by(state, name):
        what = lease.resource
        task = state.tasks.get(int(what.name)) if what.type == "task" and what.name.isdigit() else None
        if task is not None:
            body = f" | {_cut(task.body, _LONG)}" if task.body else ""
            yield f"{name} works on task #{task.seq}: {_cut(task.title, _LONG)}{body}"
        elif lease.reason or lease.phase:
            yield f"{name} holds {_cut(str(what), _LINE)}: {_cut(lease.reason or lease.phase or '', _LONG)}"


def _messages(state: State, sessions: tuple[str, str]) -> Iterator[str]:
    """What the two said to each other lately."""
    between = [message for message in state.messages.to(*sessions) if {message.sender, message.to} == set(sessions)]
    for message in sorted(between, key=lambda one: one.seq)[-_MESSAGES:]:
        yield f"#{message.seq} {message.sender} to {message.to}: {_cut(message.subject, _LINE)} | {_cut(message.message, _LONG)}"


def _cut(text: str, limit: int) -> str:
    line = show(text, limit)
    data = line.encode()
    return line if len(data) <= limit else data[: limit - 3].decode("utf-8", "ignore") + "…"


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _within(lines: Sequence[str], room: int) -> list[str]:
    """As many of the lines as there is room for; how many more there are is said."""
    found = list[str]()
    for number, line in enumerate(lines):
        left = len(lines) - number
        more = f"… and {left} more lines"
        if _size([*found, line]) + (_size([more]) if left > 1 else 0) > room:
            return [*found, more] if _size([*found, more]) <= room else found
        found.append(line)
    return found

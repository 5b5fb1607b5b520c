"""A hook does here what each step of an agent's session needs. This module loads the standard library only; what needs the whole
program is in `start` and `edit`.

No step waits for the network, but the start, a prompt after a pause and a stop (shortly), and an edit that is to be denied (to make
sure). Helpers inside of a session are guarded and counted as it is; they start nothing, end nothing and get no messages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gitcoord.agents.hook import notes, others
from gitcoord.agents.hook.event import NOTHING, HookAnswer, Occasion
from gitcoord.agents.hook.notes import NotedAnswer, beat
from gitcoord.agents.hook.place import Here, ground, is_first
from gitcoord.agents.mailbox import Handful
from gitcoord.core import term
from gitcoord.core.guard import Target, in_the_way
from gitcoord.core.names import LINE_LIMIT, show
from gitcoord.core.overlap import covers
from gitcoord.core.term import is_over
from gitcoord.guard import cache, targets
from gitcoord.machine import files, whereabouts
from gitcoord.machine.identity import Binding, digest
from gitcoord.outbox import shown, spool
from gitcoord.statusline import cache as seen_at_a_glance
from gitcoord.views import quoting

_LOOK = 2.0  # seconds that a prompt and a stop wait for one look at the branch
_PUT_OFF = 100  # notes of starts whose first prompt never came, or is still to come
_ROOM = 4096  # bytes that one hook puts into an agent's context (protocol, section 9)
_ENDS_SHOWN = 5  # leases that are about to run out, of which one hook tells
NOTHING_MORE: Mapping[str, str] = MappingProxyType({})
_ENDS_NOTHING = frozenset({"clear", "resume"})  # the agent's process goes on, under another id


def take(here: Here, occasion: Occasion, payload: Any, *, takes: bool = True) -> NotedAnswer:
    """Does the step that the occasion is. `takes`: whether a text that is given now gets to the agent; else it is kept."""
    if occasion.kind == "before-edit":
        said = _before_edit(here, occasion)
        if said.answer is NOTHING and occasion.alone:
            if said.done is not None:
                said.done()  # it says nothing, so it is given
            return _after_edit(here, occasion, takes=takes)
        return said
    if occasion.kind == "after-edit":
        return _after_edit(here, occasion, takes=takes)
    if occasion.subagent or not is_first(here, occasion, payload):
        return NotedAnswer()
    if occasion.kind == "start" and occasion.perhaps:
        _put_off(here, occasion, "resume")
        return NotedAnswer()
    begun = occasion if occasion.kind == "start" else _put_off_before(here, occasion) or _unheard(here, occasion)
    if begun is not None:
        from gitcoord.agents.hook import start  # here: only a start, and an edit in somebody's way, pays for the whole program

        said = start.start(here, begun, takes=takes)
        if not takes:  # what is dropped at the start is told with the first prompt
            _put_off(here, occasion, "compact")
        return said
    if here.binding is None:
        return NotedAnswer()
    if occasion.kind == "end":
        return _end(here, here.binding, occasion)
    if occasion.kind == "stop":
        return _stop(here, here.binding, occasion, takes=takes)
    here.mailbox.touch()
    if occasion.kind == "after-tool":
        here.background()
        return _show(here, here.binding) if takes else NotedAnswer()
    beat(here.binding, "compacting" if occasion.kind == "compact" else "prompted")
    here.background(wait=_LOOK if occasion.kind == "prompt" else 0.0)  # after a pause nothing that came meanwhile lies here yet
    return _show(here, here.binding) if occasion.kind == "prompt" and takes else NotedAnswer()


# --- a start that is put off until the first prompt ------------------------------------------------------------------------------


def _put_off(here: Here, occasion: Occasion, source: str) -> None:
    """Notes that the session's start is to be done with its first prompt, as one of that kind. Where two ids are possible, that of
    a session that is resumed and that of a copy of it, the prompt tells which it is.
    """
    folder = files.private_folder(here.shared / "put-off")
    ids = [occasion.agent_id, occasion.perhaps or occasion.agent_id]
    for one in ids:
        files.write_json(folder / f"{digest({'id': one})}.json", [*ids, source])
    files.keep_newest(folder, _PUT_OFF)


def _put_off_before(here: Here, occasion: Occasion) -> Occasion | None:
    """The start that was put off until this prompt; None where none was."""
    folder = here.shared / "put-off"
    if occasion.kind != "prompt" or not folder.is_dir():
        return None
    noted = files.read(folder / f"{digest({'id': occasion.agent_id})}.json", files.texts)
    if noted is None or len(noted) != 3:
        return None
    *ids, source = noted
    for one in ids:
        (folder / f"{digest({'id': one})}.json").unlink(missing_ok=True)
    return replace(occasion, kind="start", source=source if occasion.agent_id == ids[0] else "fork")


def _unheard(here: Here, occasion: Occasion) -> Occasion | None:
    """Return the start that nobody told of, where this prompt is the first that is heard of a session; else None."""
    is_first = occasion.late and occasion.kind == "prompt" and here.binding is None
    return replace(occasion, kind="start", source="resume") if is_first else None


# --- edits -------------------------------------------------------------------------------------------------------------


def _before_edit(here: Here, occasion: Occasion) -> NotedAnswer:
    """Whether somebody else holds the file; what is plain is told without git and without the network."""
    if not occasion.paths:
        return NotedAnswer()
    if here.binding is not None and not occasion.subagent:
        here.mailbox.touch()
    seen = cache.read(here.shared)
    if seen is None:
        from gitcoord.agents.hook import edit

        return edit.guard(here, occasion)
    wanted = targets.targets(ground(here, seen.repo), occasion.paths, occasion.place)
    session = here.binding.session if here.binding else here.sitting
    hit = in_the_way(seen.leases, wanted, session=session, now=datetime.now(UTC), grace=seen.grace, fold=seen.fold)
    if hit and not here.mailbox.told(notes.quiet(here, seen.good, occasion)):
        from gitcoord.agents.hook import edit

        return edit.guard(here, occasion)
    if not hit:
        now = datetime.now(UTC)
        mine = [one.resource for one in seen.leases if one.claimed_by == session and not is_over(one, now)]
        notes.to_claim(here, [one for one in wanted if not any(covers(held, one.path) for held in mine)])
    else:
        here.background()
    return NotedAnswer()


def _after_edit(here: Here, occasion: Occasion, *, takes: bool) -> NotedAnswer:
    """The files go along with the next heartbeat."""
    if here.binding is None:
        return NotedAnswer()
    here.mailbox.touch()
    wanted = targets.targets(ground(here, here.binding.repo), occasion.paths, occasion.place)
    names = [one.path for one in wanted]
    if names:
        beat(here.binding, "edited", show(names[0], LINE_LIMIT), names)
        _tell_holders(here, here.binding, wanted)
    here.background()
    if not takes or occasion.subagent:
        return NotedAnswer()
    seated = [here.binding.session, *(binding.session for binding in here.identity.all())]
    return _show(here, here.binding, also=others.told(here.shared, names, seated))


def _tell_holders(here: Here, binding: Binding, wanted: list[Target]) -> None:
    """Sends each holder of what was edited a message, once, where the guard had told the agent before that it is held."""
    seen = cache.read(here.shared)
    if seen is None:
        return
    hit = in_the_way(seen.leases, wanted, session=binding.session, now=datetime.now(UTC), grace=seen.grace, fold=seen.fold)
    for lease, hits in hit:
        for one in hits:
            met = f"{lease.fence} {one.path}"
            if here.mailbox.told(met) and not here.mailbox.told(f"edited {met}"):
                what = lease.resource.name if lease.resource.name == one.path else f"a file of {lease.resource.name}"
                spool.alert(
                    binding,
                    lease.claimed_by,
                    f"{binding.session} edited {what}, which you hold",
                    f"It was told first that you hold it (fence {lease.fence}), and went on. Your lease goes on, too.",
                )
                here.mailbox.tell(f"edited {met}")


# --- the end of a turn, and of the session -----------------------------------------------------------------------------


def _stop(here: Here, binding: Binding, occasion: Occasion, *, takes: bool) -> NotedAnswer:
    """The agent goes on once if it is asked something; else it waits for its person."""
    here.mailbox.touch()
    listens = takes and not occasion.nagged
    if listens:
        here.background(now=True, wait=_LOOK)  # it is the last step at which a question of this turn can be told
    said = _show(here, binding, asking=True) if listens else NotedAnswer()
    if said.answer is NOTHING and listens:
        said = _pull(here)
    if said.answer is NOTHING:
        beat(binding, "waiting", "person")
        here.background()
    return said


def _pull(here: Here) -> NotedAnswer:
    """Return that a task is ready for the agent, which shall go on with it: once for each task. Nothing where that isn't wished
    (`gitcoord config pull true`).
    """
    task = here.mailbox.ready()
    once = f"task {task} is ready"
    if not task or here.mailbox.told(once):
        return NotedAnswer()
    text = f"gitcoord: before you stop: task #{task} is ready for you. Take it with: gitcoord next\n"
    return NotedAnswer(HookAnswer(context=text, go_on=True), lambda: here.mailbox.tell(once))


def _end(here: Here, binding: Binding, occasion: Occasion) -> NotedAnswer:
    """Ends exactly the run that this process is. The old process of a session that was resumed meanwhile ends nothing."""
    if occasion.source in _ENDS_NOTHING or ((binding.pid, binding.born) != here.owner() and binding.alive):
        return NotedAnswer()
    with suppress(OSError):
        here.identity.note_ended(binding)
    spool.end(binding)  # first: a session that is forgotten here and not ended there would be held for alive for long
    here.identity.forget(binding.session)
    here.identity.unbind(binding.session)
    whereabouts.forget(occasion.agent_id, here.environ)
    here.mailbox.remove()
    here.background(now=True)
    return NotedAnswer()


# --- telling -----------------------------------------------------------------------------------------------------------


def _show(here: Here, binding: Binding, *, asking: bool = False, also: Mapping[str, str] = NOTHING_MORE) -> NotedAnswer:
    """Return what lies in the mailbox, between marks. `asking`: only questions, for which the agent shall go on; `also`: what else
    is said once, by the keys under which that is noted.
    """
    nonce = os.urandom(16).hex()
    who = show(binding.session, 64)
    head = (
        f"gitcoord: before you stop: you, session {who}, are asked something. Answer it, or say that you can't:\n"
        if asking
        else f"gitcoord: new for you, session {who}:\n"
    )
    foot = "Answer a question by: gitcoord reply NUMBER TEXT\n"
    room = _ROOM - len((head + foot).encode()) - quoting.size(nonce)
    outbox, mailbox = Path(binding.outbox), here.mailbox
    once = {key: text for key, text in also.items() if not here.mailbox.told(key)}
    once |= {} if asking else {text: text for text in _ending(here, binding)}
    ends = list(once.values())
    hand = mailbox.take(
        room - sum(len(line.encode()) + 3 for line in ends), shown=shown.known(outbox, binding.session), asking=asking
    )
    if not hand.lines and not ends:
        mailbox.done(hand)
        return NotedAnswer()
    text = head + quoting.quoted([*(f"- {line}" for line in ends), *hand.lines], nonce) + (foot if hand.asks else "")
    return NotedAnswer(HookAnswer(context=text, go_on=asking), lambda: _shown(here, binding, hand, list(once)))


def _ending(here: Here, binding: Binding) -> list[str]:
    """What is to be said, once, of the session's leases that run out soon or are over, as far as is known here."""
    now = time.time()
    held = here.identity.holding(binding.session)
    ends = [term.ending(entry, one.until, one.ttl, now) for entry, one in held.items()]
    return [text for text in ends if text and not here.mailbox.told(text)][:_ENDS_SHOWN]


def _shown(here: Here, binding: Binding, hand: Handful, once: Sequence[str] = ()) -> None:
    for key in once:
        here.mailbox.tell(key)
    if hand.ids:
        shown.note(Path(binding.outbox), binding.session, hand.ids)
        seen_at_a_glance.told(here.own.parent, binding.session, hand.ids)
    here.mailbox.done(hand)

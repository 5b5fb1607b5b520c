"""Whose time counts. Every date and end that is written is counted here, and every clock that is to judge is doubted here.

Of two clocks that differ by more than the grace one is wrong, and neither can say which. So a clock that is contradicted grants
nothing, and takes nothing from anybody by time, unless something outside of it vouches for it: the kernel that is synchronised, the
remote's clock, another machine's event of this minute, or what any of these said within a day. Where nobody can tell, time passes
by what this machine has itself observed, which no setting of a clock can change. (Protocol, section 6.)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gitcoord.core.times import is_date, spell, spell_span
from gitcoord.errors import ClockSkew

if TYPE_CHECKING:
    from gitcoord.core.events import Clock
    from gitcoord.core.state import State

UNHEARD_OF = timedelta(days=366)
"""How far a clock may be ahead of the newest commit where nobody at all can tell the time."""
_SET_IT = "set the clock, then run the same command again"


def check_date(now: datetime) -> None:
    """Raises ClockSkew where the clock shows what can be no date of this program."""
    if not is_date(now):
        raise ClockSkew(f"this machine's clock can't be right: it says {now:%Y-%m-%d}", hint=_SET_IT)


def date_of(state: State, clock: Clock) -> datetime:
    """Return the date of what is written now, from which every end counts: the own clock's time.

    Dates don't go back: where the newest commit is ahead, its date counts. Only a clock that something vouches for goes back behind
    one that is ahead by more than the grace: that commit came from a wrong clock, and counts for nobody.
    """
    now = clock.now.replace(microsecond=0)
    if state.at <= now or (state.at > now + state.rules.grace and is_right(state, clock)):
        return now
    return state.at


def is_right(state: State, clock: Clock) -> bool:
    """Return True if something outside of it vouches for this clock, to within the grace."""
    witness = clock.at_hand()
    if witness is None and clock.vouched():
        return True
    witness = witness or clock.witness()
    right = _agree(state, clock.now, witness) if witness is not None else is_supported(state, clock)
    if right:
        clock.agree()
    return right


def is_supported(state: State, clock: Clock) -> bool:
    """Return True if another machine was heard at this very time, and did its last work after whoever says that it is later."""
    live = state.sessions.live()
    elsewhere = [session for session in live if session.host and clock.host and session.host != clock.host]
    later = [session.worked_seq for session in live if session.last_heartbeat > clock.now + state.rules.grace]
    near = [session.worked_seq for session in elsewhere if _agree(state, clock.now, session.last_heartbeat)]
    return max(near, default=-1) > max(later, default=-1)


def doubt(state: State, clock: Clock, what: str = "until when a lease would be held") -> ClockSkew | None:
    """Return why this clock can't say `what`; None where nothing contradicts it.

    The remote is asked only where that costs nothing, or where the newest commit makes one wonder: it is later than the clock says,
    or earlier by more than a lease lasts.
    """
    witness = clock.at_hand()
    lead = clock.now - state.at
    if witness is None and lead < -state.rules.grace:
        return None if is_right(state, clock) else _wrong(clock.now, "the newest commit's", state.at, what)
    if witness is None and lead > timedelta(seconds=state.rules.settings.default_ttl) and not clock.vouched():
        witness = clock.witness()
        if witness is None and lead > UNHEARD_OF and not is_supported(state, clock):
            return _wrong(clock.now, "the newest commit's", state.at, what)
    if witness is None:
        return None
    if not _agree(state, clock.now, witness):
        return _wrong(clock.now, "the remote's", witness, what)
    clock.agree()
    return None


def trust(state: State, clock: Clock) -> None:
    """Raises ClockSkew where this clock can't say until when a lease would be held."""
    wrong = doubt(state, clock)
    if wrong is not None:
        raise wrong


def judge(
    state: State, clock: Clock, what: str, *, mark: Callable[[State], object], needed: timedelta, hint: str
) -> ClockSkew | None:
    """Return why it can't be judged here that `what` (by time); None where it can.

    `mark` gives the last sign of life of whom it is about, `needed` how long there must have been none: that long this machine must
    itself have observed it where nobody confirms its clock.
    """
    wrong = doubt(state, clock, f"that {what}")
    if wrong is not None:
        return wrong
    witness = clock.witness()
    if witness is not None:
        if not _agree(state, clock.now, witness):
            return _wrong(clock.now, "the remote's", witness, f"that {what}")
        clock.agree()
        return None
    if clock.vouched() or is_right(state, clock):
        return None
    seen = clock.observed(state, mark)
    if seen >= needed:
        return None
    return Unconfirmed(
        f"nobody confirms this machine's clock ({spell(clock.now)}), so it can't judge alone that {what}: "
        f"it has itself seen no sign of life for {spell_span(seen)} of {spell_span(needed)}",
        hint=hint,
    )


class Unconfirmed(ClockSkew):
    """Nothing contradicts this clock, and nobody confirms it: time will tell."""


def shown_at(state: State, clock: Clock, *, ask: bool) -> tuple[datetime, str]:
    """Return the time by which the state is shown, and what has to be said of it ("": nothing).

    A contradicted clock is no base for that. `ask`: whether the remote may be asked where it matters.
    """
    now, grace = clock.now, state.rules.grace
    witness = clock.at_hand()
    if witness is None and state.at > now + grace:
        if clock.vouched() or (ask and is_right(state, clock)):
            return now, ""
        return state.at, _differs(now, "the newest commit's", state.at) + "; this goes by the commit's"
    over = any(state.at < lease.expires_at <= now for lease in state.claims.values())
    if witness is None and over and not clock.vouched():
        witness = clock.witness() if ask else None
        if witness is None:
            doubtful = not is_supported(state, clock)
            return now, f"nobody confirms this machine's clock ({spell(now)}); what is over is over by it alone" if doubtful else ""
    if witness is None:
        return max(now, state.at), ""
    if _agree(state, now, witness):
        clock.agree()
        return (max(now, state.at) if state.at <= now + grace else now), ""
    return witness, _differs(now, "the remote's", witness) + "; this goes by the remote's"


def _agree(state: State, one: datetime, other: datetime) -> bool:
    return abs(one - other) <= state.rules.grace


def _differs(now: datetime, whose: str, theirs: datetime) -> str:
    which = "behind" if now < theirs else "ahead of"
    return f"this machine's clock ({spell(now)}) is {spell_span(abs(now - theirs))} {which} {whose} ({spell(theirs)})"


def _wrong(now: datetime, whose: str, theirs: datetime, what: str) -> ClockSkew:
    return ClockSkew(f"{_differs(now, whose, theirs)}: it can't say {what}", hint=_SET_IT)

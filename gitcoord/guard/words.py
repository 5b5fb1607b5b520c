"""The guard's answer in words: who holds what until when, what is over, how sure that is, and what may be done next."""

from __future__ import annotations

from datetime import timedelta

from gitcoord.core import leases
from gitcoord.core.names import show, word
from gitcoord.core.state import State
from gitcoord.core.times import spell, spell_span
from gitcoord.errors import GitcoordError, Held, NotHeld
from gitcoord.guard.check import GuardAnswer, Hindrance

SHOWN = 5  # paths of one lease, and leases, that are named


def lines(said: GuardAnswer, *, why: bool = True) -> list[str]:
    """One line for each lease in the way, one for each that is over, then what makes them uncertain. Real blocks come first.

    `why`: with the holders' own words.
    """
    first = sorted(said.hindrances, key=lambda one: one.new)
    found = [_line(one, said.state, why=why) for one in first[:SHOWN]]
    if len(first) > SHOWN:
        found.append(f"and {len(first) - SHOWN} more claims of others: gitcoord claims")
    for over in said.over[:SHOWN]:
        commits = ", ".join(one[:12] for one in over.commits[:3]) + (" …" if len(over.commits) > 3 else "")
        found.append(f"{commits}: made under a lease on {over.resource} that is over (fence {over.fence})")
    age = "of an unknown age" if said.view_age is None else f"{spell_span(timedelta(seconds=said.view_age))} old"
    found += said.doubtful[:SHOWN]
    if found and said.doubt:
        found.append(f"this is a view {age}, and it could not be looked at again: {said.doubt}")
    elif found and said.stale:
        found.append(f"this is a view {age}")
    return found


def reasons(said: GuardAnswer) -> list[str]:
    """Return why each holder holds what is in the way, in the holder's own words, where it said so."""
    first = sorted(said.hindrances, key=lambda one: one.new)[:SHOWN]
    why = ((one.lease.claimed_by, one.lease.reason or one.lease.phase or "") for one in first)
    return list(dict.fromkeys(f"{holder}: {show(text, 100)}" for holder, text in why if text))


def _line(one: Hindrance, state: State | None, *, why: bool) -> str:
    lease = one.lease
    holder = leases.holder(state, lease) if state is not None else lease.claimed_by
    paths = ", ".join(show(path, 100) for path in one.paths[:SHOWN])
    if len(one.paths) > SHOWN:
        paths += f" and {len(one.paths) - SHOWN} more"
    through = "" if one.paths == (lease.resource.name,) else f" (as {lease.resource})"
    what = " is new, and" if one.new else ""
    words = lease.reason or lease.phase or ""
    said = f": {show(words, 100)}" if words and why else ""
    if one.over:
        return (
            f"{paths}{what}{',' if one.new else ':'} the lease of {holder}{through} ended {spell(lease.expires_at)} "
            f"(fence {lease.fence}), and its grace runs{said}"
        )
    return f"{paths}{what} is held by {holder}{through} until {spell(lease.expires_at)} (fence {lease.fence}){said}"


def refusal(said: GuardAnswer, *, why: bool = True) -> GitcoordError:
    """What is blocked, as an error whose hint says what may be done next."""
    line = lines(said, why=why)[0]
    real = [one for one in said.hindrances if not one.new] or ([] if said.over else list(said.hindrances))
    if not real:
        return NotHeld(line, hint=f"gitcoord claim {word(str(said.over[0].resource))}")
    lease = real[0].lease
    return Held(line, hint=leases.ways_out(lease, [lease.resource]))

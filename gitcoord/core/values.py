"""How a value stands on the branch: whole numbers, switches, words, kinds of events, objects of git.

All of it is validity, so each grammar is spelled here, in ranges that no library and no Unicode table can change: what one Python
reads, every Python reads, for ever. Times are in `times`, names, lines and texts in `names`.
"""

from __future__ import annotations

import re

WHOLE_LIMIT = 2**53  # the largest whole number: what every JSON reader holds exactly
_WHOLE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}(?:\.[a-z0-9][a-z0-9_]{0,31}){0,3}", re.ASCII)
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SWITCH = {"true": True, "false": False}


def read_whole(text: str) -> int:
    """Return the whole number in `text`: decimal digits without a sign, a blank or a zero in front. Raises ValueError."""
    if not _WHOLE.fullmatch(text) or int(text) > WHOLE_LIMIT:
        raise ValueError("not a whole number")
    return int(text)


def is_whole(text: str) -> bool:
    """True if `text` is a whole number as the branch spells it."""
    return bool(_WHOLE.fullmatch(text)) and int(text) <= WHOLE_LIMIT


def read_switch(text: str) -> bool:
    """Return what `true` or `false` says. Raises ValueError for any other word."""
    if text not in _SWITCH:
        raise ValueError("neither true nor false")
    return _SWITCH[text]


def is_word(text: str) -> bool:
    """True if `text` is a word of the protocol, such as a message's type: small ASCII letters, digits and `_`."""
    return bool(_WORD.fullmatch(text))


def is_event_kind(text: str) -> bool:
    """True if `text` can name a kind of event, of a later version too."""
    return bool(_KIND.fullmatch(text))


def is_oid(text: str) -> bool:
    """True if `text` is the full name of an object of git: 40 or 64 small hex digits."""
    return bool(_OID.fullmatch(text))


def is_digest(text: str) -> bool:
    """True if `text` is the digest of a request: 32 small hex digits."""
    return bool(_DIGEST.fullmatch(text))


def oid_or_none(text: str | None) -> str | None:
    """Return the commit as an event may carry it; None for none, and for what is no full name."""
    return text if text and is_oid(text) else None

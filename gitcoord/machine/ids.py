"""Unique ids: ULIDs (milliseconds, then randomness), which sort by the time they were made."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BITS = 128
_STEP = 70  # bits: how far behind another id one may begin; some thousand in a row take one millisecond's room


def new_id(after: str = "") -> str:
    """A new ULID, greater than `after`: what one session asks for later must sort later, whatever its clock did."""
    value = (time.time_ns() // 1_000_000 << 80) | _random(80)
    if len(after) == 26 and all(char in _ALPHABET for char in after):
        last = 0
        for char in after:
            last = last * 32 + _ALPHABET.index(char)
        # Not simply the next one: another process may go on from the same id at the same moment.
        value = max(value, last + 1 + _random(_STEP))
    value &= (1 << _BITS) - 1
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def _random(bits: int) -> int:
    # As `secrets` does it, which loads much more than hooks have time for.
    return int.from_bytes(os.urandom(16)) >> (128 - bits)


def digest(parts: Sequence[str]) -> str:
    """Return the digest of those parts, which names an outbox; where one part differs, so does the digest."""
    import hashlib  # here: it loads OpenSSL, and hooks need no digest

    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:20]

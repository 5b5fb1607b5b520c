"""Names that a person reads as the same one: `session-001` and `session-00l`, `m` and `rn`, `fix_login` and `fix-login`.

Sessions' names are small ASCII letters, digits and three marks, so of all that Unicode's table of confusables (TR 39) lists, these
few are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LETTERS = str.maketrans({"1": "l", "0": "o", "_": "-", ".": "-"})
_MARKS = re.compile(r"-{2,}")


def skeleton(name: str) -> str:
    """Return the name as it looks: two names that look alike have the same one."""
    looks = name.translate(_LETTERS)
    if "--" in looks:
        looks = _MARKS.sub("-", looks)
    return looks.replace("rn", "m").replace("vv", "w")


def alike(name: str, names: Iterable[str]) -> str:
    """Return the first of the names that looks like that one and isn't it; "" for none."""
    looks = skeleton(name)
    return next((other for other in names if other != name and skeleton(other) == looks), "")

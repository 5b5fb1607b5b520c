"""One thing that was looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ok, a warning, or wrong; and what to do."""

    level: Literal["ok", "warning", "wrong"]
    what: str
    hint: str = ""

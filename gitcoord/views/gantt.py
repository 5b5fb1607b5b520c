"""The live claims as a chart that git hosts draw from a page: a bar each, from the grant to the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from gitcoord.core.records import Claim

BARS = 8
LIMIT = 1500  # characters: one host draws 2,000 on a page, all charts together
_NAME = 40
_UNSAFE = re.compile(r"[^A-Za-z0-9._/-]+", re.ASCII)


def gantt(claims: Sequence[Claim]) -> list[str]:
    """Return the lines of the chart; none where there are no claims or more of them than it has bars.

    Its times are counted in milliseconds, so that whoever looks sees them, and a line for this moment, by the clock at hand.
    """
    if not 0 < len(claims) <= BARS:
        return []
    lines = ["```mermaid", "gantt", "dateFormat x", "axisFormat %H:%M"]
    holder = ""
    for lease in sorted(claims, key=lambda one: (one.claimed_by, one.fence, one.resource)):
        if lease.claimed_by != holder:
            holder = lease.claimed_by
            lines.append(f"section {_plain(holder)}")
        lines.append(f"{lease.fence} {_plain(str(lease.resource))} :{_stamp(lease.claimed_at)}, {_stamp(lease.expires_at)}")
    lines.append("```")
    return lines if sum(map(len, lines)) <= LIMIT else []


def _plain(text: str) -> str:
    """Return the text without any character that means something to who draws the chart. It stands behind a word or a number of
    ours, so that it can't be one of the chart's own words.
    """
    return _UNSAFE.sub(" ", text[: 4 * _NAME]).strip()[:_NAME]


def _stamp(when: datetime) -> int:
    return int(when.timestamp()) * 1000

"""A picture as one HTML file that needs nothing from outside: its text, style and script, and the picture as packed JSON.

What sessions wrote is in the packed JSON alone, and the script shows it as text: nothing of it is ever markup. The policy of the
page names the digests of its own script and style; no other is run, and nothing is loaded.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitcoord.views.attention import Item
from gitcoord.views.needs import chosen, label, ordered
from gitcoord.views.timeline import Picture, Place, line

LIMIT = 500_000
"""Bytes of a page: what a host shows and a browser opens at once."""
_NEEDS = 11  # lines of what needs somebody
_MOST = 40_000  # events: more never fit
_PROPORTION = 0.95  # of the events that should fit are tried next


@dataclass(frozen=True)
class Assets:
    """What a page is made of: its body, its style and its script."""

    body: str
    style: str
    script: str


def record(picture: Picture, needs: Sequence[Item] = (), *, title: str = "", version: str = "") -> dict[str, Any]:
    """Return the picture as the script reads it: seconds for times, columns for the events."""
    steps = picture.steps
    pressing, rest = chosen(ordered(needs), _NEEDS)
    kinds = list(dict.fromkeys(step.kind for step in steps))
    who = list(dict.fromkeys(step.session for step in steps))
    kind_at, who_at = {kind: at for at, kind in enumerate(kinds)}, {name: at for at, name in enumerate(who)}
    times = [_seconds(step.at) for step in steps]
    return {
        "title": title, "version": version, "now": _seconds(picture.now), "total": picture.total, "first": picture.first,
        "quiet": picture.quiet_after, "sums": dict(picture.sums), "kinds": kinds, "who": who,
        "needs": [{"kind": item.kind, "word": label(item), "text": line(item.text, 300)} for item in pressing], "rest": rest,
        "t": [after - before for before, after in zip([0, *times], times, strict=False)],
        "k": [kind_at[step.kind] for step in steps],
        "s": [who_at[step.session] for step in steps],
        "x": [step.text for step in steps],
        "doing": [[step.seq, step.state, step.blocked] for step in steps if step.state or step.blocked],
        "stays": [
            [one.session, *_place(one.began), *_place(one.ended), one.how, one.work, one.role, one.agent, one.host, one.branch,
             list(one.done)]
            for one in picture.stays
        ],
        "bars": [
            [one.session, one.what, *_place(one.began), _seconds(one.until), one.ended or 0, one.how, one.by, one.note,
             int(one.shared)]
            for one in picture.bars
        ],
        "waits": [
            [one.session, list(one.what), *_place(one.began), _seconds(one.until), one.ended or 0, one.how, list(one.holders)]
            for one in picture.waits
        ],
        "notes": [
            [one.seq, _seconds(one.at), one.sender, one.to, one.type, one.subject, one.body, one.root, int(one.asks),
             one.answered or 0, one.id]
            for one in picture.notes
        ],
        "passes": [
            [*_place(one.began), one.sender, one.to, one.about, *_place(one.taken), one.by, one.id] for one in picture.passes
        ],
        "cards": [
            [one.seq, one.title, *_place(one.began), one.by, list(one.needs), one.to, [list(step) for step in one.steps]]
            for one in picture.cards
        ],
        "warns": [[*_place(one.began), list(one.sessions), one.verdict, list(one.files)] for one in picture.warns],
    }  # fmt: skip


def _seconds(when: datetime) -> int:
    return int(when.timestamp())


def _place(place: Place | None) -> tuple[int, int]:
    return (place[0], _seconds(place[1])) if place else (0, 0)


def packed(value: dict[str, Any]) -> str:
    """Return it as JSON, compressed, in letters that are no markup anywhere."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode()


def policy(assets: Assets, *, live: bool = False) -> str:
    """Return the content security policy of the page. `live`: it asks its own server for more."""
    parts = [
        "default-src 'none'",
        f"script-src '{_digest(assets.script)}'",
        f"style-src '{_digest(assets.style)}'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        *(["connect-src 'self'"] if live else []),
    ]
    return "; ".join(parts)


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def document(assets: Assets, data: str, *, title: str, mode: str = "file") -> str:
    """Return the whole page. `mode`: `file`, `live` (a server has more), or `write` (and takes answers)."""
    shown = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en" data-mode="{mode}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy(assets, live=mode != "file"))}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{shown}</title>\n<style>{assets.style}</style>\n</head>\n<body>\n{assets.body}\n"
        f'<script type="application/json" id="data">{data}</script>\n<script>{assets.script}</script>\n</body>\n</html>\n'
    )


def bounded(
    picture: Picture, assets: Assets, needs: Iterable[Item] = (), *, title: str, version: str = "", limit: int = LIMIT
) -> tuple[str, Picture]:
    """Return the page in at most so many bytes, and the picture in it."""
    room = limit - len(document(assets, "", title=title).encode())
    data, shown = fitted(picture, tuple(needs), room, title=title, version=version)
    return document(assets, data, title=title), shown


def fitted(
    picture: Picture, needs: Sequence[Item], room: int, *, title: str, version: str = "", me: str = ""
) -> tuple[str, Picture]:
    """Return the packed picture in at most so many bytes, and what is in it: the oldest events give way, as many as must. `me`: the
    session as which the page writes.
    """
    shown = picture.since(picture.total + 1 - _MOST)
    while True:
        data = packed({**record(shown, needs, title=title, version=version), "me": me})
        if len(data) <= room:
            return data, shown
        if not shown.steps:
            shown = shown.thinned()
            continue
        fitting = int(len(shown.steps) * room / len(data) * _PROPORTION)
        shown = picture.since(picture.total + 1 - fitting)

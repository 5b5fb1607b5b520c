"""The lanes of a picture as an SVG file: for a README or a wiki, in light and in dark. It has no script and loads nothing."""

from __future__ import annotations

from html import escape

from gitcoord.core.names import show
from gitcoord.views.lanes import Arrow, Lane, Span, arrows, lanes, window
from gitcoord.views.timeline import Picture
from gitcoord.views.timeline_text import Clock, ticks

_WIDTH, _NAMES, _TOP = 1200, 190, 58  # a wide screen; the column of names; above the first lane
_ROW, _LANE, _PAD = 18, 46, 14
_MOST = 40  # lanes
_LETTER = 6.3  # the width of a letter, about
_STYLE = """
svg{--bg:#fff;--ink:#172033;--soft:#566176;--line:#e2e6ec;--accent:#3b4fd8;--past:#b5bdf0;--task:#5c6b8a;--taskpast:#bfc5d2;--on:#fff;--wait:#8a5200;--waitbg:#fdf0d8}
@media (prefers-color-scheme:dark){svg{--bg:#161c25;--ink:#e7ebf2;--soft:#a1acbd;--line:#28303c;--accent:#93a4ff;--past:#454f80;--task:#8ea0c4;--taskpast:#444f63;--on:#0e1218;--wait:#f0b860;--waitbg:#3a2c12}}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--soft)}
.h{font-size:14px;font-weight:600;fill:var(--ink)}.n{font-weight:600;fill:var(--ink)}.e{font-weight:500;fill:var(--soft)}
.in{fill:var(--on);font-size:11px}.out{fill:var(--ink);font-size:11px}
.bg{fill:var(--bg)}.rule{stroke:var(--line)}.stay{stroke:var(--line);stroke-width:2}
.claim{fill:var(--accent)}.claim.past{fill:var(--past)}.task{fill:var(--task)}.task.past{fill:var(--taskpast)}
.wait{fill:var(--waitbg);stroke:var(--wait);stroke-dasharray:3 2}
.m{stroke:var(--soft);fill:none}.q{stroke:var(--wait);fill:none}.p{stroke:var(--ink);stroke-width:1.75;fill:none}
.mt{fill:var(--soft)}.qt{fill:var(--wait)}.pt{fill:var(--ink)}
"""  # noqa: E501 the two palettes are read side by side


def svg(picture: Picture, clock: Clock, *, title: str = "") -> str:
    """Return the picture as a file."""
    found = lanes(picture, narrowest=3 / (_WIDTH - _NAMES))
    shown = found[:_MOST]
    begin, end = window(picture)
    tops, y = [], _TOP
    for lane in shown:
        tops.append((y, height := max(_LANE, lane.rows * _ROW + _PAD)))
        y += height
    bottom = max(y, _TOP + _LANE)
    more = f", and {len(found) - len(shown)} more sessions" if len(found) > len(shown) else ""
    span = f"{clock.local(begin):%Y-%m-%d %H:%M} to {clock.local(end):%Y-%m-%d %H:%M %Z}"
    words = f"{title + ': ' if title else ''}{len(picture.steps)} events, {span}{more}"
    size = f'viewBox="0 0 {_WIDTH} {bottom + 16}" width="{_WIDTH}" height="{bottom + 16}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_safe(words)}</title><style>{_STYLE}</style>",
        f'<rect class="bg" width="{_WIDTH}" height="{bottom + 16}" rx="10"/>',
        f'<text class="h" x="16" y="24">{_safe(words)}</text>',
    ]
    for share, word in ticks(begin, end, clock, (_WIDTH - _NAMES - 16) // 90):
        x = _x(share)
        parts.append(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text x="{x + 4:.1f}" y="{_TOP - 6}">{_safe(word)}</text>')
    parts += [_arrow(one, tops) for one in arrows(picture, shown)]
    for lane, (top, height) in zip(shown, tops, strict=True):
        parts += _lane(lane, top, height)
    if not shown:
        parts.append(f'<text x="16" y="{_TOP + 20}">No session in this time.</text>')
    return "\n".join([*parts, "</svg>", ""])


def _safe(text: str) -> str:
    """Anybody's text as a text of XML; what is no letter there is left out."""
    return escape(show(text))


def _x(share: float) -> float:
    return _NAMES + share * (_WIDTH - _NAMES - 16)


def _lane(lane: Lane, top: int, height: int) -> list[str]:
    middle = top + height / 2
    kind = "e" if lane.state == "ended" else "n"
    parts = [
        f'<line class="rule" x1="0" x2="{_WIDTH}" y1="{top}" y2="{top}"/>',
        f'<text class="{kind}" x="16" y="{top + 20}">{_safe(_cut(lane.session, _NAMES - 28))}</text>',
        f'<text x="16" y="{top + 36}">{_safe(_cut(lane.about or lane.state, _NAMES - 28))}</text>',
    ]
    parts += [f'<line class="stay" x1="{_x(a):.1f}" x2="{_x(b):.1f}" y1="{middle}" y2="{middle}"/>' for a, b in lane.stays]
    base = top + (height - lane.rows * _ROW) / 2
    return [*parts, *(_span(span, base + span.row * _ROW) for span in lane.spans)]


def _span(span: Span, top: float) -> str:
    a, b = _x(span.begin), _x(span.end)
    past = "" if span.live or span.kind == "wait" else " past"
    label = _cut(span.label, b - a - 10) if b - a > 34 else ""
    text = (
        f'<text class="{"in" if span.live and span.kind != "wait" else "out"}" x="{a + 5:.1f}" y="{top + 12}">{_safe(label)}</text>'
    )
    return (
        f"<g><title>{_safe(span.title)}</title>"
        f'<rect class="{span.kind}{past}" x="{a:.1f}" y="{top + 1}" width="{max(2.0, b - a):.1f}" height="{_ROW - 4}" rx="4"/>'
        f"{text if label else ''}</g>"
    )


def _cut(text: str, width: float) -> str:
    return show(text, max(1, int(width / _LETTER)))


def _arrow(one: Arrow, tops: list[tuple[int, int]]) -> str:
    (a, tall), (b, high) = tops[one.source], tops[one.target]
    up = b < a
    y1, y2 = (a + 10, b + high - 10) if up else (a + tall - 10, b + 10)
    x1, x2 = _x(one.begin), _x(one.end)
    kind = "p" if one.kind == "handoff" else "q" if one.open else "m"
    away = 6 if up else -6
    middle = (y1 + y2) / 2
    curve = f"M{x1:.1f} {y1}C{x1:.1f} {middle} {x2:.1f} {middle} {x2:.1f} {y2}"
    tip = f"M{x2 - 3.5:.1f} {y2 + away}L{x2:.1f} {y2}L{x2 + 3.5:.1f} {y2 + away}z"
    return f'<g><title>{_safe(one.title)}</title><path class="{kind}" d="{curve}"/><path class="{kind}t" d="{tip}"/></g>'

"""The page as a file: what is in it, how large it may be, and that nothing which sessions wrote is markup in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from datetime import timedelta
from typing import Any

from hostile import TEXTS, hostile_story
from pure_branch import T0
from workdays import picture_of, workday

from gitcoord.core.names import UNSAFE
from gitcoord.page.assets import assets
from gitcoord.views import page
from gitcoord.views.attention import Item, attention
from gitcoord.views.timeline import Bar, Picture, Stay, Step, line


def unpacked(text: str) -> dict[str, Any]:
    """What the page carries."""
    data = re.search(r'<script type="application/json" id="data">([A-Za-z0-9+/=]+)</script>', text)
    assert data is not None
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(data[1])))
    return found


def long_picture(events: int) -> Picture:
    """Many events that are hard to pack: each has a text of its own."""
    steps, bars = [], []
    for seq in range(1, events + 1):
        at = T0 + timedelta(seconds=seq)
        text = hashlib.sha256(str(seq).encode()).hexdigest()
        steps.append(Step(seq, at, "heartbeat.recorded", f"s-{seq % 1000}", text))
        bars.append(
            Bar(f"s-{seq % 1000}", f"file:{text[:9]}", (seq, at), at + timedelta(hours=1), min(seq + 9, events), "released")
        )
    stays = tuple(Stay(f"s-{number}", (1, T0)) for number in range(1000))
    return Picture(T0 + timedelta(seconds=events), events, 1, stays, tuple(bars), steps=tuple(steps))


def test_a_page_carries_the_whole_picture() -> None:
    picture = picture_of(workday(4, events=120))
    text, shown = page.bounded(picture, assets(), [Item("waiting", "ann waits")], title="shop", version="9")
    assert shown == picture
    assert unpacked(text) == json.loads(
        json.dumps({**page.record(picture, [Item("waiting", "ann waits")], title="shop", version="9"), "me": ""})
    )


def test_a_long_past_gives_way_and_the_newest_stays() -> None:
    text, shown = page.bounded(long_picture(30_000), assets(), title="shop")
    assert len(text.encode()) <= page.LIMIT
    assert 1 < shown.first <= 30_000
    assert [shown.steps[0].seq, shown.steps[-1].seq] == [shown.first, 30_000]
    assert unpacked(text)["total"] == 30_000


def test_what_goes_on_gives_way_too_where_it_alone_is_too_much() -> None:
    many = tuple(Stay(hashlib.sha256(str(number).encode()).hexdigest(), (1, T0), work="x" * 90) for number in range(20_000))
    text, shown = page.bounded(Picture(T0, 1, 1, many), assets(), title="shop")
    assert len(text.encode()) <= page.LIMIT
    assert shown.stays == many[-len(shown.stays) :] != ()


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    text, _ = page.bounded(picture_of(workday(2, events=20)), assets(), title="shop")
    for kind, tag in (("script", assets().script), ("style", assets().style)):
        digest = base64.b64encode(hashlib.sha256(tag.encode()).digest()).decode()
        assert f"{kind}-src &#x27;sha256-{digest}&#x27;" in text
        assert text.count(f"<{kind}>{tag}</{kind}>") == 1
    assert "default-src &#x27;none&#x27;" in text
    assert not re.search(r"unsafe|https?://(?!www\.w3\.org/2000/svg)", text)


def test_nothing_that_a_session_wrote_stands_in_the_page_as_it_was_written() -> None:
    story = hostile_story()
    needs = attention(story.state, story.now)
    text, shown = page.bounded(picture_of(story), assets(), needs, title="<script>alert(1)</script>")
    data = unpacked(text)
    assert sum("owned" in one for one in data["x"]) > 20, "the story has the texts"
    assert not UNSAFE.search(json.dumps(data, ensure_ascii=False).replace("\n", "").replace("\t", ""))
    assert [page.record(shown, [Item("blocked", one)])["needs"][0]["text"] for one in TEXTS] == [line(one, 300) for one in TEXTS]
    bare = page.document(assets(), "", title="")
    for tag in ("<script", "<img", "<svg", "<iframe", "<style", "<base", "<meta"):
        assert text.count(tag) == bare.count(tag), tag


def test_what_needs_somebody_has_a_line_for_each_kind() -> None:
    items = [*(Item("conflict", f"conflict {number}") for number in range(30)), Item("unanswered", "a question")]
    made = page.record(Picture(T0, 0, 1), items)
    assert ("question", "a question") in [(one["word"], one["text"]) for one in made["needs"]]
    assert made["rest"] == "and 21 more: 21 foretold conflicts"


def test_the_script_makes_no_markup_of_texts() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|DOMParser", assets().script)

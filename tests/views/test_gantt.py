"""The chart of the live claims: small, and nothing in it that a session wrote means something to who draws it."""

from __future__ import annotations

import re

import pytest
from pure_branch import T0, Story, hours
from strategies import UNSAFE

from gitcoord.core import leases
from gitcoord.views.gantt import BARS, LIMIT, gantt

HOSTILE = (
    "a:b",
    "x; click y",
    "%%{init: {}}%%",
    "a#b",
    "a\u202eb",
    "```",
    "x\\n",
    "section z",
    "a, crit, done",
    "<b>",
    "[x](y)",
    "\U0001f642",
)


def chart(story: Story) -> list[str]:
    """The chart of what is held."""
    return gantt(leases.live(story.state, story.now))


def test_each_claim_is_a_bar_from_its_grant_to_its_end_under_its_holder() -> None:
    story = Story.of("ann", "bob")
    fence = story.claim("bob", "slot:staging", ttl_seconds=7200).seq
    story.claim("ann", "src/api.py")
    begin, end = (int(when.timestamp() * 1000) for when in (T0, T0 + hours(2)))
    lines = chart(story)
    assert lines[:2] == ["```mermaid", "gantt"]
    assert [line for line in lines if line.startswith("section")] == ["section ann", "section bob"]
    assert f"{fence} slot staging :{begin}, {end}" in lines


@pytest.mark.parametrize("word", HOSTILE, ids=ascii)
def test_no_name_means_anything_to_who_draws_it(word: str) -> None:
    story = Story.of("click", "title")
    story.claim("click", f"title:{word}")
    story.claim("title", f"droplet:{word} {word}")
    bars = chart(story)[4:-1]
    assert len(bars) == 4
    for line in bars:
        assert re.fullmatch(r"section (click|title)|\d+ (title|droplet)[\w ./-]* :\d{13}, \d{13}", line, re.ASCII), line
        assert not UNSAFE.search(line)


def test_there_is_none_where_it_would_be_large_or_empty() -> None:
    story = Story.of("ann")
    assert chart(story) == []
    story.claim("ann", *(f"droplet:{str(number) * 200}" for number in range(BARS)))
    assert 0 < len("\n".join(chart(story))) <= LIMIT
    story.claim("ann", "droplet:one-more")
    assert chart(story) == []

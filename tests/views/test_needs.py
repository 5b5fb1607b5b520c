"""What needs somebody, in few lines: which kinds come first, what is grouped, and what is left out of them."""

from __future__ import annotations

from pure_branch import Story, minutes

from gitcoord.views import needs
from gitcoord.views.attention import Item, attention


def items(**counts: int) -> list[Item]:
    """So many items of each kind, in an order that says nothing."""
    return [Item(kind, f"{kind} {number}") for kind, count in counts.items() for number in range(count)]


def test_who_waits_for_a_person_comes_first_then_questions_conflicts_blocked_and_silent() -> None:
    story = Story.of("ann", "bob", "cy", "dee")
    story.claim("dee", "a")
    story.wait(minutes(20))
    story.beat("ann", "blocked", blocked_by="the key")
    story.send("bob", "cy", "which port?", type="question")
    story.beat("cy", "waiting", target="person")
    found = needs.ordered(attention(story.state, story.now))
    assert [needs.kind_of(item) for item in found] == ["person", "unanswered", "blocked", "silent_holder"]


def test_silent_holders_are_one_line_and_what_is_over_is_none() -> None:
    story = Story.of("ann", "bob", "cy")
    story.claim("ann", "a", ttl_seconds=300)
    for name in ("bob", "cy"):
        story.claim(name, f"of-{name}")
    story.wait(minutes(20)).beat("ann")
    (silent,) = needs.ordered(attention(story.state, story.now))
    assert silent.text == "2 holders are not heard of: bob, cy"


def test_every_kind_has_a_line_before_any_has_its_second_and_the_last_line_counts_the_rest() -> None:
    found = needs.ordered(items(unread=3, unanswered=20, conflict=1, blocked=2))
    shown, rest = needs.chosen(found, 6)
    assert [item.text for item in shown] == ["unanswered 0", "unanswered 1", "conflict 0", "blocked 0", "unread 0"]
    assert rest == "and 21 more: 18 questions, 1 blocked session, 2 unread messages"


def test_nothing_is_left_out_where_there_is_room() -> None:
    found = needs.ordered(items(unanswered=4, handoff=2))
    assert needs.chosen(found, 6) == (found, "")
    assert needs.chosen([], 6) == ([], "")


def test_an_alarm_is_never_left_out() -> None:
    kinds = ("speaker", "look_alike", "bad_commit", "format", "a_kind_of_later")
    found = needs.ordered(items(expired=2, expires_soon=1, **dict.fromkeys(kinds, 1)))
    assert {item.kind for item in found} == set(kinds)
    assert found[-1].kind == "a_kind_of_later"
    assert needs.chosen(found, 1)[1].count(",") == len(kinds) - 1

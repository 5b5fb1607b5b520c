"""Lists that were written elsewhere: three kinds, read twice, and what can't be read is refused as a whole with its line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import PlanStory
from strategies import texts

from gitcoord.core import task_lists
from gitcoord.core.task_cards import NewTask, parted
from gitcoord.errors import BadInput

CHECKLIST = """\
# Plan

Some words, and - [x] no item.

- [ ] Login
  Everything about it.

  - [ ] Specification
  - [ ] Server side, after: Specification
      needs a table
      after: Form
  - [ ] Form (after: specification)
- [x] Begin
* [ ] Release notes — after: Login, Begin

```
- [ ] an example
```
1. no item
- no item either
  - [ ] Part of nothing
"""

ISSUES = """[
  {"number": 7, "title": "Second", "body": "b", "labels": [{"name": "P1"}], "url": "https://github.com/org/shop/issues/7"},
  {"number": 3, "title": "First", "body": "", "labels": [],
   "url": "https://github.com/org/shop/issues/3"},
  {"number": 2, "title": "Over", "state": "CLOSED"}
]"""

BEADS = "\n".join(
    json.dumps(row)
    for row in (
        {"id": "bd-3", "title": "Part", "priority": 0, "description": "d", "dependencies": [
            {"issue_id": "bd-3", "depends_on_id": "bd-1", "type": "parent-child"},
            {"issue_id": "bd-3", "depends_on_id": "bd-2", "type": "blocks"},
            {"issue_id": "bd-3", "depends_on_id": "bd-9", "type": "blocks"},
            {"issue_id": "bd-3", "depends_on_id": "bd-2", "type": "related"},
        ]},
        {"id": "bd-1", "title": "Epic", "issue_type": "epic", "status": "open"},
        {"id": "bd-2", "title": "First", "status": "in_progress", "dependencies": [
            {"depends_on_id": "bd-3", "type": "discovered-from"}]},
        {"id": "bd-9", "title": "Over", "status": "closed"},
    )
)  # fmt: skip


def short(cards: list[NewTask]) -> dict[str, tuple[list[str], str | None]]:
    """What each task needs, and of which it is a part, by titles."""
    title = {f"={card.key}": card.title for card in cards}
    return {card.title: ([title[one] for one in card.needs], title.get(card.parent or "")) for card in cards}


def test_checklist_has_parts_needs_and_texts() -> None:
    cards = task_lists.read(CHECKLIST, "plan.md")
    assert short(cards) == {
        "Login": ([], None),
        "Specification": ([], "Login"),
        "Server side": (["Specification", "Form"], "Login"),
        "Form": (["Specification"], "Login"),
        "Release notes": (["Login"], None),
        "Part of nothing": ([], None),
    }
    by_title = {card.title: card for card in cards}
    assert by_title["Login"].body == "Everything about it."
    assert by_title["Server side"].body == "needs a table"
    assert by_title["Form"].key == "list:plan.md#login/form"


def test_issues_of_github_have_their_numbers_as_keys() -> None:
    cards = task_lists.read(ISSUES, "issues.json")
    assert [(card.key, card.title, card.priority, card.body) for card in cards] == [
        ("github:org/shop#7", "Second", 1, "b"),
        ("github:org/shop#3", "First", 2, None),
    ]


def test_issues_without_an_address_are_those_of_the_repository() -> None:
    [card] = task_lists.read('[{"number": 7, "title": "a"}]', "standard input", repo="org/shop")
    assert card.key == "github:org/shop#7"


def test_beads_keep_their_links_and_priorities() -> None:
    cards = task_lists.read(BEADS, "issues.jsonl")
    assert short(cards) == {"Epic": ([], None), "First": ([], None), "Part": (["First"], "Epic")}
    part = next(card for card in cards if card.title == "Part")
    assert (part.priority, part.body, part.key) == (0, "d", "beads:bd-3")


@pytest.mark.parametrize("text", [CHECKLIST, ISSUES, BEADS], ids=["checklist", "github", "beads"])
def test_importing_again_adds_nothing_and_closes_nothing(text: str) -> None:
    story = PlanStory.of("ann")
    cards = task_lists.read(text, "list")
    assert isinstance(story, PlanStory)
    for group in parted(cards):
        story.add_many("ann", *group)
    assert len(story.state.tasks) == len(cards)
    story.close("ann", 1, "dropped")
    before = story.state
    for group in parted(task_lists.read(text, "list")):
        assert story.add_many("ann", *group) is None
    assert story.state is before


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("- [ ] A\n- [y] B", 2),
        ("- [ ] A\n- [ ] B, after: nothing", 2),
        ("- [ ] A\n- [ ]  ", 2),
        ("- [ ] A, after: B\n- [ ] B, after: A", 1),
        ("- [ ] A b\n- [ ] A c\n- [ ] D, after: a b, a c, a", 3),
        ('[{"number": 1, "title": "a"},\n{"number": 2}]', 2),
        ('[{"number": 1, "title": "a"},\n', 2),
        ('{"id": "a", "title": "a"}\n{"id": "b"}', 2),
        ('{"id": "a", "title": "a"}\n\n{"id": "a", "title": "b"}', 3),
        ('{"id": "a", "title": "a"}\n{', 2),
        ('{"id": "a", "title": "a", "priority": 9}', 1),
        ('{"id": "a", "title": "a", "dependencies": [3]}', 1),
        ('{"id": "a", "title": "a"}\n{"id": "b", "title": "b", "description": "' + "x" * 70_000 + '"}', 2),
    ],
)
def test_broken_list_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(BadInput, match=rf"list, line {line}: .*nothing was added"):
        task_lists.read(text, "list")


@pytest.mark.parametrize("text", ["", "just words", "[]", "- [x] done"])
def test_list_without_a_task_adds_nothing(text: str) -> None:
    if text == "- [x] done":
        assert task_lists.read(text, "list") == []
    else:
        with pytest.raises(BadInput, match="holds no task"):
            task_lists.read(text, "list")


@given(
    st.lists(st.sampled_from(("- [ ] ", "  - [x] ", "after: ", "```", "\n", '{"id":"a","title":"b"}', "[", "{")) | texts).map(
        "".join
    )
)
def test_any_text_is_a_list_or_refused(text: str) -> None:
    try:
        cards = task_lists.read(text, "list")
    except BadInput:
        return
    assert len({card.key for card in cards}) == len(cards)

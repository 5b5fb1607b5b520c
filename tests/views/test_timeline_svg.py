"""The lanes as an SVG file: well formed, without a script or anything from outside, whatever sessions wrote."""

from __future__ import annotations

from datetime import UTC
from xml.etree import ElementTree

from hostile import hostile_story
from pure_branch import Story
from workdays import picture_of, workday

from gitcoord.views.timeline_svg import svg
from gitcoord.views.timeline_text import Clock

CLOCK = Clock(lambda when: when.astimezone(UTC))
KNOWN = {"svg", "title", "style", "rect", "text", "line", "path", "g"}


def test_any_story_is_a_well_formed_picture_without_script_or_link() -> None:
    for story in (workday(8, events=250), hostile_story(), Story.of()):
        root = ElementTree.fromstring(svg(picture_of(story), CLOCK, title="<b>&"))
        assert {part.tag.partition("}")[2] for part in root.iter()} <= KNOWN
        assert not {
            name for part in root.iter() for name in part.attrib if name.startswith("on") or "href" in name or name == "style"
        }
        assert "<b>&: " in "".join(root.itertext())


def test_others_texts_stay_texts() -> None:
    words = "".join(ElementTree.fromstring(svg(picture_of(hostile_story()), CLOCK)).itertext())
    assert "<script>document.title='owned'</script>" in words
    assert "{{constructor.constructor('alert(1)')()}}" in words


def test_each_session_and_what_it_held_is_named() -> None:
    story = Story.of("ann")
    story.claim("ann", "src/api.py")
    words = "".join(ElementTree.fromstring(svg(picture_of(story), CLOCK, title="shop")).itertext())
    assert "shop: 3 events" in words
    assert "ann holds file:src/api.py" in words

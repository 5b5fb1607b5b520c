"""What somebody could write to do harm where it is shown: the texts of `tests/corpus/hostile.json`, and a story full of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from plans import PlanStory
from pure_branch import COMMIT, minutes

from gitcoord.core.foretold import ForetellConflict
from gitcoord.errors import GitcoordError

TEXTS: tuple[str, ...] = tuple(json.loads((Path(__file__).parents[1] / "corpus" / "hostile.json").read_text(encoding="utf-8")))


def hostile_story() -> PlanStory:
    """Return a story in which every field that takes a text has each of them, as far as an event may hold it."""
    story = PlanStory.of("ann", "bob")
    for number, text in enumerate(TEXTS):
        for act in _moves(story, number, text):
            story.wait(minutes(0.2))
            with suppress(GitcoordError, ValueError):
                act()
    return story


def _moves(story: PlanStory, number: int, text: str) -> list[Callable[[], object]]:
    """What a session does, all with that text; `line`: as one line may hold it."""
    line = "".join(char for char in text if char >= " " and not "\x7f" <= char <= "\x9f")[:190] or "x"
    name, file = f"eve-{number}", f"file:{line}"
    foretold = {"between": ("bob", name), "verdict": "certain", "commits": (COMMIT, COMMIT[::-1]), "lines": (f"{line}:1-2",)}
    return [
        lambda: story.start(name, work=line, agent=line, host=line, role=line, branch=f"w/{number}"),
        lambda: story.claim(name, file, phase=line, reason=text),
        lambda: story.claim("bob", file, wait=True),
        lambda: story.beat(name, line, target=line, phase=line, progress=line, next_action=line, blocked_by=line),
        lambda: story.send(name, "bob", line, type="question", message=text),
        lambda: story.send(name, "broadcast", line, message=text),
        lambda: story.add(name, line, body=text),
        lambda: story.handoff(name, "anyone", file, done=line, next=line, blockers=line, notes=text),
        lambda: story.ask(story.command(ForetellConflict, name, **foretold)),
        lambda: number % 3 or story.release(name, file, done=text, next_phase=line),
        lambda: number % 4 or story.end(name, done=(line,), notes=text),
    ]

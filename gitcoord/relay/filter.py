"""Which events are told to people outside, and in what words. Pure: the same event gives the same line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gitcoord.core import names
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Event
from gitcoord.core.foretold import ConflictForetold
from gitcoord.core.leases import TakenLease
from gitcoord.core.messages import TYPES, MessageSent
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.records import Message
from gitcoord.core.releases import ClaimReleased
from gitcoord.core.tasks import TaskClosed
from gitcoord.core.trials import TrialDone
from gitcoord.errors import BadInput
from gitcoord.relay.redact import inert, redact

LINE = 400  # characters of a line in a chat
_TEXT = 240  # of them for what was said
AGAIN = "(again?) "

DEFAULT = ("work_started", "work_completed", "handoff", "alert", "notice", "takeover", "unanswered", "conflict")
"""What is told if nothing else is asked for: beginnings and ends of work, and what needs somebody. No heartbeat."""

_WORDS = frozenset({*TYPES, "takeover", "unanswered", "conflict", "all", "default", "none"})
_KIND = re.compile(r"[a-z*]{1,32}\.[a-z_*]{1,32}", re.ASCII)


@dataclass(frozen=True)
class Choice:
    """What is told: `words` (kinds as `claim.*`, types of message, `takeover`, …), from whom, about what; and what never."""

    words: frozenset[str] = frozenset(DEFAULT)
    sessions: frozenset[str] = frozenset()
    resources: tuple[Resource, ...] = ()
    never: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, texts: tuple[str, ...]) -> Choice:
        """The choice in words with commas or blanks between them: `default,claim.*,session:ada,resource:file:src,!alert`.

        Raises BadInput.
        """
        words: set[str] = set()
        sessions: set[str] = set()
        never: set[str] = set()
        about: list[Resource] = []
        for word in re.split(r"[,\s]+", " ".join(texts).strip()) if texts else ():
            if word.startswith("session:"):
                sessions.add(names.parse_session(word.removeprefix("session:")))
            elif word.startswith("resource:"):
                kind, _, name = word.removeprefix("resource:").partition(":")
                about.append(names.parse_resource(kind, name))
            elif word.removeprefix("!") in _WORDS or _KIND.fullmatch(word.removeprefix("!")):
                (never if word.startswith("!") else words).add(word.removeprefix("!"))
            else:
                raise BadInput(
                    f"{names.show(word, 60)!r} chooses no events",
                    hint=f"one of: {', '.join(sorted(_WORDS))}; a kind such as claim.*; session:NAME; resource:TYPE:NAME; !WORD",
                )
        if "default" in words or not words:
            words = (words - {"default"}) | set(DEFAULT)
        return cls(frozenset(words), frozenset(sessions), tuple(about), frozenset(never))

    def takes(self, event: Event, resources: tuple[str, ...]) -> bool:
        """Whether the event is told."""
        if event.lapsed:
            return False  # it was recorded without effect
        said = {"all", *_words(event)}
        if not any(_matches(word, event.kind, said) for word in self.words):
            return False
        if any(_matches(word, event.kind, said) for word in self.never):
            return False
        if self.sessions and event.session not in self.sessions:
            return False
        return not self.resources or any(overlaps(Resource.read(one), other) for one in resources for other in self.resources)

    @property
    def reminds(self) -> bool:
        """Whether questions that wait too long are told."""
        return bool({"unanswered", "all"} & self.words) and "unanswered" not in self.never

    def reminds_of(self, question: Message) -> bool:
        """Whether that question, which waits too long, is told."""
        return self.reminds and not self.resources and (not self.sessions or bool({question.sender, question.to} & self.sessions))


def _matches(word: str, kind: str, said: set[str]) -> bool:
    return word in said or ("." in word and fnmatchcase(kind, word))


def _words(event: Event) -> set[str]:
    """What the event is, in the words of a choice."""
    if isinstance(event, MessageSent):
        return {event.type}
    if isinstance(event, ClaimAcquired) and event.taken:
        return {"takeover"}
    if isinstance(event, ClaimReleased) and event.released:
        return {*(["work_completed"] if event.done is not None else []), *(["handoff"] if event.next_phase or event.to else [])}
    if isinstance(event, TaskClosed):
        return {"handoff"} if event.goes_on else {"work_completed"} if event.status == "done" else set()
    if isinstance(event, TrialDone):
        return {"alert"} if event.exit_code else set()
    if isinstance(event, ConflictForetold):
        return {"conflict"} if event.verdict != "none" else set()
    return {"handoff"} if event.kind.startswith("handoff.") else set()


def line(event: Event, headline: str, doubt: str = "") -> str:
    """The event in one inert line. `doubt`: why somebody else may have said it; "" for nothing."""
    return inert(f"#{event.seq} {_warning(doubt)}{_told(event, headline)}", LINE)


def _warning(doubt: str) -> str:
    return f"({doubt}) " if doubt else ""


def reminder(question: Message) -> str:
    """That a question waits, in one inert line."""
    return inert(f"#{question.seq} {question.to} has not answered {question.sender}: {question.subject[:_TEXT]}", LINE)


def answer(event: MessageSent, doubt: str = "") -> str:
    """What a session answered to a person, in one inert line; longer than the others: somebody waits for it. `doubt`: as in
    `line`.
    """
    text = event.message if event.message and event.message.strip() else event.subject
    return inert(f"#{event.seq} {_warning(doubt)}{event.session}: {text[:4000]}", 2 * LINE)


def _told(event: Event, headline: str) -> str:
    if isinstance(event, MessageSent):
        kind = "" if event.type == "note" else f" ({event.type.replace('_', ' ')})"
        to = "all" if event.to == "broadcast" else event.to
        body = (event.message or "").strip()
        more = "" if not body or body == event.subject else f": {_cut(body)}"
        if body.startswith(event.subject):
            return f"{event.session} to {to}{kind}: {_cut(body)}"
        return f"{event.session} to {to}{kind}: {event.subject}{more}"
    if isinstance(event, ClaimAcquired) and event.taken:
        _, holder, why, resource = TakenLease.parse(event.taken[0])
        others = f" and {len(event.taken) - 1} more" if len(event.taken) > 1 else ""
        return f"{event.session} took {resource}{others} over from {holder} ({why})"
    if isinstance(event, ClaimReleased) and event.done is not None:
        then = f"; ready for {event.next_phase}" if event.next_phase else ""
        tests = f" (tests {event.tests})" if event.tests else ""
        what = ", ".join(one.partition(" ")[2] for one in event.released[:3])
        return f"{event.session} finished {what}: {_cut(event.done)}{tests}{then}"
    if isinstance(event, TaskClosed) and event.note:
        return f"{headline}: {_cut(event.note)}"
    return headline


def _cut(text: str) -> str:
    text = redact(text[: 16 * LINE])  # before it is cut: half a token is not known as one
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"

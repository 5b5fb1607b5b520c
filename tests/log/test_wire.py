"""Event ↔ commit message: whatever an event says comes back exactly; what is no event is Malformed and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pure_branch import COMMIT, T0, Story, hours, seconds, stamp
from pydantic import ValidationError
from strategies import NASTY, UNSAFE, any_event, events, lines, many, texts, wild_texts

from gitcoord.core import rules
from gitcoord.core.branch import SettingsChanged
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.clocks import date_of
from gitcoord.core.events import Clock, Event
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.inbox import BEYOND
from gitcoord.core.messages import MessageRead, MessageSent
from gitcoord.core.releases import ClaimReleased
from gitcoord.core.sessions import SessionEnded, SessionStarted
from gitcoord.git.objects import BLOB_LIMIT, COMMIT_LIMIT
from gitcoord.log import wire
from gitcoord.views import tree

LATER = datetime(2025, 11, 15, 14, 0, tzinfo=UTC)


def encode(event: Event, *, skip_ci: bool = True) -> str:
    """The message of an event, as this program writes it."""
    return wire.encode(event, writer="0.1.0", skip_ci=skip_ci)


def there_and_back(event: Event, *, skip_ci: bool = True) -> Event:
    """The event that a reader of its message gets."""
    return wire.decode(encode(event, skip_ci=skip_ci), at=event.at).event


# --- the message of the protocol ---------------------------------------------------------------------------------------


def claim(**given: Any) -> ClaimAcquired:
    """A grant with everything that a grant needs."""
    common: dict[str, Any] = {
        "id": "01JD0000000000000000000000", "seq": 42, "session": "session-001", "at": T0, "resources": ("file:src/api.py",),
        "ttl_seconds": 14400, "expires_at": LATER, "reason": "BUILD - implementing the landing page",
    }  # fmt: skip
    return ClaimAcquired(**{**common, **given})


def test_message_is_that_of_the_protocol() -> None:
    assert (
        encode(claim())
        == """\
claim: file src/api.py by session-001 until 14:00 UTC (fence 42)

BUILD - implementing the landing page

[skip ci]

Coord-Event: claim.acquired
Coord-Id: 01JD0000000000000000000000
Coord-Seq: 42
Coord-Session: session-001
Coord-Resource: file:src/api.py
Coord-Ttl: 14400
Coord-Expires: 2025-11-15T14:00:00Z
Coord-Writer: 0.1.0
"""
    )


def test_each_resource_has_a_line_of_its_own() -> None:
    message = encode(claim(resources=("file:a", "file:b")))
    assert re.findall(r"(?m)^Coord-Resource: (.*)$", message) == ["file:a", "file:b"]


def test_writer_is_told() -> None:
    assert wire.decode(encode(claim()), at=T0).writer == "0.1.0"
    assert wire.decode(encode(claim()).replace("Coord-Writer: 0.1.0\n", ""), at=T0).writer == ""


def test_body_is_absent_where_there_is_no_text_and_present_where_it_is_empty() -> None:
    assert there_and_back(claim(reason=None)).model_dump()["reason"] is None
    assert there_and_back(claim(reason="")).model_dump()["reason"] == ""


def test_skip_ci_is_a_paragraph_of_its_own_or_absent() -> None:
    assert "\n\n[skip ci]\n\nCoord-Event" in encode(claim())
    assert "[skip ci]" not in encode(claim(), skip_ci=False)


# --- there and back ----------------------------------------------------------------------------------------------------


@many
@given(any_event, st.booleans())
def test_every_event_comes_back_as_it_went(event: Event, skip_ci: bool) -> None:
    assert there_and_back(event, skip_ci=skip_ci) == event


@pytest.mark.parametrize("kind", rules.EVENTS.values(), ids=list(rules.EVENTS))
def test_every_kind_comes_back_as_it_went(kind: type[Event]) -> None:
    @given(events(kind))
    def check(event: Event) -> None:
        assert there_and_back(event) == event

    check()


@pytest.mark.parametrize(
    "text",
    [*NASTY, "a\n\nb", "a\n\n\n\nb", "\n", "\n\n", "a\n", "\na", "a \nb", " \n ", "a\n\n[skip ci]", "[skip ci]\n\nb",
     "a\n[skip ci]\nb",
     "a\n\nCoord-Event: x\nCoord-Seq: 1", "\r\n", "a\tb", "\x00", "\x1b[31m", "\x7f\x85\x9b", "\ufeffa", "x" * 65536, "\n" * 300,
     " " * 300],
    ids=lambda text: ascii(text[:24]),
)  # fmt: skip
@pytest.mark.parametrize("skip_ci", [True, False])
def test_nasty_text_comes_back_as_it_went(text: str, skip_ci: bool) -> None:
    for event in (
        claim(reason=text),
        MessageSent(id="a", seq=1, session="ann", at=T0, to="bob", subject="x", message=text),
        SessionEnded(id="a", seq=1, session="ann", at=T0, notes=text),
    ):
        assert there_and_back(event, skip_ci=skip_ci) == event


@given(texts)
@example("\n")
@example("\na")
@example("a\n\n")
def test_any_text_comes_back_as_it_went(text: str) -> None:
    escaped = wire.escape_text(text)
    assert wire.unescape(escaped) == text
    assert not escaped.startswith("\n")  # git strips empty lines at the ends where it cleans a message up
    assert not escaped.endswith("\n")


@given(lines)
@example(" ")
@example("\\u{}")
def test_any_line_comes_back_as_it_went(line: str) -> None:
    escaped = wire.escape_line(line)
    assert wire.unescape(escaped) == line
    assert "\n" not in escaped
    assert escaped
    assert escaped == escaped.strip(" ")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=40))
def test_plain_text_is_written_plainly(text: str) -> None:
    assert wire.escape_text(f"a{text}") == f"a{text}"
    assert wire.escape_line(f"a{text}") == f"a{text}"


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb"], ids=ascii)
def test_text_that_no_reader_could_read_back_makes_no_event(text: str) -> None:
    """A branch or a folder whose name isn't UTF-8 reaches Python as lone surrogates: the own clone would take for good what
    everybody else calls malformed."""
    with pytest.raises(ValidationError):
        HeartbeatRecorded(id="a", seq=1, session="ann", at=T0, branch=text)
    with pytest.raises(ValidationError):
        HeartbeatRecorded(id="a", seq=1, session="ann", at=T0, files_touched=(text,))
    with pytest.raises(ValidationError):
        claim(reason=text)
    with pytest.raises(ValidationError):
        claim(resources=(f"file:{text}",))
    with pytest.raises(ValidationError):
        SessionEnded(id="a", seq=1, session="ann", at=T0, notes=text)
    with pytest.raises(ValidationError):
        SessionStarted(id="a", seq=1, session="ann", at=T0, run_id=text)


def test_absent_and_empty_are_two_things() -> None:
    beat = HeartbeatRecorded(id="a", seq=1, session="ann", at=T0, phase="", action=None)
    assert there_and_back(beat) == beat
    assert "Coord-Phase: \\u{}" in encode(beat)
    assert "Coord-Action" not in encode(beat)


def test_no_is_not_lost() -> None:
    assert there_and_back(claim(allow_coordination=False, witnessed=False)) == claim(allow_coordination=False, witnessed=False)


# --- how it looks ------------------------------------------------------------------------------------------------------


def _paragraphs(message: str) -> list[str]:
    return message.rstrip("\n").split("\n\n")


@many
@given(any_event, st.booleans())
def test_message_is_plain_and_well_formed(event: Event, skip_ci: bool) -> None:
    message = encode(event, skip_ci=skip_ci)
    message.encode()
    assert not UNSAFE.search(message.replace("\n", ""))
    assert message.endswith("\n")
    assert not message.endswith("\n\n")
    assert [line for line in message.split("\n") if line != line.rstrip(" ")] == []
    subject, blank, *_ = message.split("\n")
    assert subject
    assert blank == ""
    assert len(subject) <= (400 if event.kind.startswith("claim.") else 72)
    trailers = _paragraphs(message)[-1].split("\n")
    assert [line for line in trailers if not re.fullmatch(r"Coord-[A-Za-z0-9-]+: [^ ].*", line)] == []
    assert trailers[0] == f"Coord-Event: {event.kind}"
    assert message.split("\n").count("[skip ci]") == skip_ci


@given(texts)
def test_text_that_looks_like_trailers_is_none(text: str) -> None:
    forged = f"{text}\n\nCoord-Event: session.ended\nCoord-Session: bob\nCoord-Seq: 99"
    event = there_and_back(claim(reason=forged))
    assert isinstance(event, ClaimAcquired)
    assert (event.session, event.seq, event.reason) == ("session-001", 42, forged)


# --- what is no event --------------------------------------------------------------------------------------------------

GOOD = encode(claim(phase="BUILD"))


def test_good_message_is_read() -> None:
    assert wire.decode(GOOD, at=T0).event == claim(phase="BUILD")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("Coord-Event: claim.acquired\n", ""),
        ("Coord-Event: claim.acquired\n", "Coord-Event: claim.acquired\nCoord-Event: claim.acquired\n"),
        ("Coord-Id: 01JD0000000000000000000000\n", ""),
        ("Coord-Id: 01JD0000000000000000000000", "Coord-Id: ../../etc"),
        ("Coord-Id: 01JD0000000000000000000000", f"Coord-Id: {'x' * 129}"),
        ("Coord-Seq: 42\n", ""),
        ("Coord-Seq: 42", "Coord-Seq: -1"),
        ("Coord-Seq: 42", "Coord-Seq: 4.5"),
        ("Coord-Seq: 42", "Coord-Seq: NaN"),
        ("Coord-Seq: 42", "Coord-Seq: 1e999"),
        ("Coord-Seq: 42", f"Coord-Seq: {'9' * 5000}"),
        ("Coord-Seq: 42", "Coord-Seq: 42\nCoord-Seq: 43"),
        ("Coord-Session: session-001\n", ""),
        ("Coord-Session: session-001", "Coord-Session: Session-001"),
        ("Coord-Session: session-001", "Coord-Session: human"),
        ("Coord-Session: session-001", "Coord-Session: ../x"),
        ("Coord-Session: session-001", "Coord-Session: a\\u{A}b"),
        ("Coord-Session: session-001", "Coord-Session: a\nCoord-Session: b"),
        ("Coord-Resource: file:src/api.py\n", ""),
        ("Coord-Resource: file:src/api.py", "Coord-Resource: file:"),
        ("Coord-Resource: file:src/api.py", "Coord-Resource: src/api.py"),
        ("Coord-Resource: file:src/api.py", "Coord-Resource: File:src/api.py"),
        ("Coord-Resource: file:src/api.py", "Coord-Resource: file:a\\u{1B}b"),
        ("Coord-Resource: file:src/api.py", f"Coord-Resource: file:{'x' * 513}"),
        ("Coord-Resource: file:src/api.py\n", "Coord-Resource: file:a\n" * 65),
        ("Coord-Expires: 2025-11-15T14:00:00Z", "Coord-Expires: 2025-11-15T14:00:00"),
        ("Coord-Expires: 2025-11-15T14:00:00Z", "Coord-Expires: 2026-02-30T00:00:00Z"),
        ("Coord-Expires: 2025-11-15T14:00:00Z", "Coord-Expires: 2025-11-15T14:00:60Z"),
        ("Coord-Expires: 2025-11-15T14:00:00Z", "Coord-Expires: soon"),
        ("Coord-Ttl: 14400", "Coord-Ttl: -5"),
        ("Coord-Ttl: 14400", "Coord-Ttl: 1e999"),
        *(("Coord-Ttl: 14400", f"Coord-Ttl: {odd}") for odd in (" 14400", "14400 ", "+14400", "014400", "14_400", "14400.0",
        "1\u06644400")),
        *(("Coord-Phase: BUILD", f"Coord-Phase: BUILD\nCoord-Coordination: {odd}") for odd in ("t", "no", "0", "False", "\\u{}")),
        ("Coord-Ttl: 14400", "Coord-Ttl: 1440\\u{30}"),
        ("Coord-Expires: 2025-11-15T14:00:00Z", "Coord-Expires: 2025-11-14T24:00:00Z"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nCoord-Ignored: <b>@everyone</b> call me"),
        ("Coord-Phase: BUILD", f"Coord-Phase: BUILD\nCoord-Ignored: {COMMIT} a\\u{{202E}}b"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nCoord-Taken: 04 ann expired file:src/api.py"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nCoord-Later: \\u{110000}"),
        ("Coord-Event: claim.acquired", "Coord-Event: <b>later</b>"),
        ("Coord-Phase: BUILD", "Coord-Phase: a\\u{0}b"),
        ("Coord-Phase: BUILD", "Coord-Phase: a\\u{A}b"),
        ("Coord-Phase: BUILD", "Coord-Phase: \\u{110000}"),
        ("Coord-Phase: BUILD", "Coord-Phase: \\u{FFFFFF}"),
        ("Coord-Phase: BUILD", "Coord-Phase: \\u{D800}"),
        ("BUILD - implementing", "\\u{DFFF} implementing"),
        ("Coord-Phase: BUILD", f"Coord-Phase: {'x' * 501}"),
        ("Coord-Phase: BUILD", "Coord-Phase: a\nCoord-Phase: b"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nsome other line"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nSigned-off-by: a <b>"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nCoord-Mode: common"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nCoord-Coordination: perhaps"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\n" + "Coord-Removed: x\n" * 64 + "Coord-Removed: x"),
        ("Coord-Phase: BUILD", "Coord-Phase: BUILD\nCoord-Abandoned: Not-A-Name"),
        ("\n\nCoord-Event", "\nCoord-Event"),
    ],
    ids=lambda text: ascii(text[:40]),
)  # fmt: skip
def test_altered_message_is_malformed(was: str, becomes: str) -> None:
    assert was in GOOD
    with pytest.raises(wire.Malformed) as refused:
        wire.decode(GOOD.replace(was, becomes, 1), at=T0)
    assert not UNSAFE.search(str(refused.value))


@pytest.mark.parametrize(
    "message",
    ["", "\n", "\n\n", "fix a typo", "fix a typo\n", "subject\n\nbody", "subject\n\nbody\n\nSigned-off-by: a <b@c>\n",
     "Merge branch 'x'\n", "\n\nCoord-Event: claim.acquired", "Coord-Event: claim.acquired\n", "a\n\nCoord-Event: ",
     "a\n\nCoord-Event: claim.acquired\n",
     "a\r\n\r\nCoord-Event: claim.acquired\r\n", "a\n\nCoord-Event: \\u{}\nCoord-Id: a\nCoord-Seq: 1"],
    ids=ascii,
)  # fmt: skip
def test_message_that_is_no_event_is_malformed(message: str) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(message, at=T0)


def test_event_without_a_date_is_malformed() -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(GOOD, at=None)


@given(st.text(max_size=200) | wild_texts)
def test_any_other_text_is_malformed_and_nothing_else(message: str) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(message, at=T0)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A real message with pieces cut, doubled, moved or replaced."""
    message = encode(draw(any_event), skip_ci=draw(st.booleans()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(message)))
        end = draw(st.integers(start, min(len(message), start + 30)))
        piece = draw(
            st.sampled_from(
                (
                    "",
                    "\n",
                    "\n\n",
                    ":",
                    " ",
                    "Coord-",
                    "\\u{",
                    "\\u{D800}",
                    "\\u{110000}",
                    "}",
                    "0",
                    "-1",
                    "Z",
                    message[start:end] * 2,
                )
            )
            | st.text(max_size=5)
            | wild_texts
        )
        message = message[:start] + piece + message[end:]
    return message


@many
@given(mutations())
def test_mutated_message_is_an_event_or_malformed_and_nothing_else(message: str) -> None:
    try:
        event = wire.decode(message, at=T0).event
    except wire.Malformed as error:
        words = str(error)
        assert not UNSAFE.search(words)  # most mutations fail, some don't: both are right
        return
    assert there_and_back(event) == event if not isinstance(event, wire.UnknownEvent) else event.named


@many
@given(mutations())
def test_whatever_is_read_stops_no_rule(message: str) -> None:
    """A reader goes on after any message: the rule answers, and the state after it can be shown."""
    story = Story.of("ann", "bob")
    story.claim("ann", "a")
    try:
        event = wire.decode(message, at=T0).event
    except wire.Malformed:
        return
    event = event.model_copy(update={"seq": story.state.seq + 1})
    if story.problem(event, T0) is None:
        rules.evolve(story.state, event, T0)


# --- kinds of a newer program ------------------------------------------------------------------------------------------


def test_unknown_kind_is_read_as_such() -> None:
    message = GOOD.replace("claim.acquired", "vote.cast")
    event = wire.decode(message, at=T0).event
    assert isinstance(event, wire.UnknownEvent)
    assert (event.named, event.seq, event.session, event.removed) == ("vote.cast", 42, "session-001", ())


def test_unknown_trailer_of_a_known_kind_is_passed_over() -> None:
    message = GOOD.replace("Coord-Writer: 0.1.0", "Coord-Weight: 3\nCoord-Writer: 9.0.0")
    decoded = wire.decode(message, at=T0)
    assert decoded.event == claim(phase="BUILD")
    assert decoded.writer == "9.0.0"


def test_fields_of_every_kind_have_trailers_of_their_own() -> None:
    for kind in rules.EVENTS.values():
        titles = [title for title, _ in wire._fields(kind).values()] + ["Coord-Event", "Coord-Writer", "Coord-Id", "Coord-Seq",
                                                                        "Coord-Session", "Coord-Run"]  # fmt: skip
        assert len(titles) == len(set(titles)), kind


# --- dates -------------------------------------------------------------------------------------------------------------


def test_log_dates_commits_as_the_protocol_says() -> None:
    story = Story.of("ann")
    for ahead in (seconds(-5), seconds(0), seconds(0.5), seconds(30), seconds(60), seconds(61), hours(5)):
        now = story.state.at - ahead
        assert date_of(story.state, Clock(now, vouched=lambda: True)) == stamp(story.state, now), ahead
        if ahead > seconds(0):  # where nobody vouches for the clock, dates never go back
            assert date_of(story.state, Clock(now)) == story.state.at, ahead


def test_released_event_without_effect_says_so_in_its_subject() -> None:
    event = ClaimReleased(id="a", seq=1, session="ann", at=T0, lapsed="a newer run goes on")
    assert encode(event).startswith("release: ann (too late: a newer run goes on)\n")


# --- sizes -------------------------------------------------------------------------------------------------------------

TAG = "\U000e0041"  # nine bytes in a message, twelve in a file


def _large() -> list[tuple[type[Event], dict[str, Any]]]:
    line, text = TAG * 500, "\x1b" * 65536
    return [
        (
            MessageSent,
            {"to": "bob", "subject": "x", "message": text, "details": tuple(f"{key:02}={TAG * 497}" for key in range(64))},
        ),
        (SessionStarted, {"session": "new", "capabilities": (line,) * 220}),
        (SessionStarted, {"session": "new", "run_id": TAG * 100_000}),
        (SessionEnded, {"done": (line,) * 64, "notes": text}),
        (SessionEnded, {"done": (line,) * 150}),
        (HeartbeatRecorded, {"files_touched": (line,) * 50, "action": line, "target": line, "phase": line, "next_action": line}),
        (HeartbeatRecorded, {"files_touched": (line,) * 220}),
        (
            ClaimAcquired,
            {"resources": ("file:b",), "ttl_seconds": 300, "expires_at": T0, "reason": text, "phase": line, "repo": line},
        ),
        (ClaimReleased, {"released": ("4 file:a",), "done": text, "next_phase": line, "files": (line,) * 64}),
        (ClaimReleased, {"released": ("4 file:a",), "next_phase": line, "files": (line,) * 220}),
        (MessageRead, {"messages": ("a",), "read_seq": 3, "read_beyond": tuple(range(10**15, 10**15 + BEYOND))}),
        (SettingsChanged, {"key": "grace", "value": "0" * 498 + "90"}),
    ]


@pytest.mark.parametrize(("kind", "given_fields"), _large(), ids=lambda value: getattr(value, "kind", "large"))
def test_record_of_a_valid_event_is_never_larger_than_a_reader_reads(kind: type[Event], given_fields: dict[str, Any]) -> None:
    """A reader inflates no file over its limit: a larger record, made by a good commit, would be missing from then on."""
    story = Story.of("ann", "bob")
    story.claim("ann", "a")
    try:
        event = story.event(kind, **{"session": "ann", **given_fields})
    except ValidationError:
        return
    message = encode(event)
    if len(message.encode()) + 1000 > COMMIT_LIMIT or story.problem(event, T0) is not None:
        return
    after = rules.evolve(story.state, event, T0)
    sizes = {path: len(tree.render(record)) for path, record in tree.changes(story.state, after).items() if record is not None}
    assert {path: size for path, size in sizes.items() if size > BLOB_LIMIT} == {}


@pytest.mark.parametrize("run", ["a b", "a\nb", "\x1b[2J", "../x", "x" * 1000, "\u202e"], ids=lambda text: ascii(text[:9]))
def test_run_is_an_id(run: str) -> None:
    """It stands in every record of the session and its leases: neither long nor strange."""
    with pytest.raises(ValidationError):
        SessionStarted(id="a", seq=1, session="ann", at=T0, run_id=run)
    assert SessionStarted(id="a", seq=1, session="ann", at=T0, run_id="01JD0000000000000000000000").run_id


def test_record_that_several_events_fill_is_never_larger_than_a_reader_reads() -> None:
    line, text = TAG * 500, "\x1b" * 65536
    story = Story.of("bob")
    key = story.send("bob", "broadcast", "x").id
    plan: list[tuple[type[Event], dict[str, Any]]] = [
        (SessionStarted, {"capabilities": (line,) * 64, "role": line, "work": line, "agent": line, "repo": line,
        "branch": "b" * 250,
        "host": line}),
        (HeartbeatRecorded, {"action": "x", "target": line, "phase": line, "progress": line, "branch": "\U00010400" * 250}),
        (MessageRead, {"messages": (key,), "read_seq": 4, "read_beyond": tuple(range(10**15, 10**15 + BEYOND))}),
        (SessionEnded, {"done": (line,) * 64, "notes": text}),
    ]  # fmt: skip
    for kind, said in plan:
        try:
            event = story.event(kind, "ann", **said)
        except ValidationError:
            continue
        if len(encode(event).encode()) + 1000 <= COMMIT_LIMIT and story.problem(event) is None:
            story.happen(event)
    sizes = {path: len(tree.render(record)) for path, record in tree.all_files(story.state).items()}
    assert {path: size for path, size in sizes.items() if size > BLOB_LIMIT} == {}
    assert not story.state.sessions["ann"].live

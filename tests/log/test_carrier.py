"""Commands as trailers of a commit on another branch: they come back as they went in, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gitcoord.core.claims import AcquireClaims
from gitcoord.core.events import Caller, Command
from gitcoord.core.messages import SendMessage, TakeMessages
from gitcoord.log import carrier

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHO: dict[str, Any] = {"op": "01AA", "session": "cloud", "run_id": "01RR", "at": AT}
SENT = SendMessage(**WHO, to="ada", subject="[skip ci]", message="a\n\nCoord-Event: no\n\u202e")
CLAIM = AcquireClaims(**WHO, resources=("file:a b",), caller=Caller(pid=1, born="x", deadline=AT))


@pytest.mark.parametrize("command", [SENT, CLAIM])
def test_a_command_comes_back_without_what_only_this_machine_knows(command: Command) -> None:
    text = carrier.message([carrier.encode(command, "claude/x")], skip_ci=True)
    assert text.startswith("coord: 1 event [skip ci]\n\nCoord-Carry: 1.")
    assert text.isascii()
    assert text.count("\n\n") == 1
    assert carrier.decode(text) == [carrier.Carried("claude/x", command.model_copy(update={"caller": None}))]


def test_what_is_too_large_or_no_command_of_a_carried_session_is_not_written() -> None:
    with pytest.raises(carrier.NotCarried, match="too large"):
        carrier.encode(SENT.model_copy(update={"message": "\u20ac" * 65_000}), "claude/x")
    with pytest.raises(carrier.NotCarried, match="can't be carried"):
        carrier.encode(TakeMessages(**WHO, limit=1), "claude/x")


def _line(body: Any) -> str:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return "Coord-Carry: 1." + base64.urlsafe_b64encode(data).decode().rstrip("=")


GOOD = {"op": "01AA", "session": "cloud", "run_id": "01RR", "at": "2026-01-02T03:04:05Z"}
BAD = {
    "another version": "Coord-Carry: 2.e30",
    "no base64": "Coord-Carry: 1.***",
    "cut off": "Coord-Carry: 1.e",
    "no JSON": _line(b"{"),
    "no UTF-8": _line(b"\xff\xfe"),
    "deep": _line(b"[" * 50_000),
    "a list": _line([]),
    "another kind": _line({"branch": "claude/x", "kind": "branch.open", "command": GOOD}),
    "a kind that is none": _line({"branch": "claude/x", "kind": 1, "command": GOOD}),
    "no branch": _line({"branch": "-x", "kind": "session.end", "command": GOOD}),
    "no run": _line({"branch": "claude/x", "kind": "session.end", "command": {**GOOD, "run_id": ""}}),
    "another field": _line({"branch": "claude/x", "kind": "session.end", "command": {**GOOD, "x": 1}}),
    "its own adopter": _line({"branch": "claude/x", "kind": "session.end", "command": {**GOOD, "carried": "ada x@y"}}),
    "too large": "Coord-Carry: 1." + "A" * carrier.LINE_LIMIT,
    "too many": "\n".join([_line({"branch": "claude/x", "kind": "session.end", "command": GOOD})] * (carrier.AT_ONCE + 1)),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_command_is_named_and_raises_nothing(text: str) -> None:
    [found] = carrier.decode(f"a subject\n\n{text}\n")
    assert isinstance(found, carrier.NotCarried)
    assert str(found)


def test_other_commits_carry_nothing() -> None:
    assert carrier.decode(None) == carrier.decode("") == carrier.decode("fix it\n\nCoord-Session: x\n Coord-Carry: 1.e30\n") == []

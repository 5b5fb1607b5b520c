"""Messages to roles, capabilities and repositories, notices, and talk without end: by the program's commands, on real git."""

from __future__ import annotations

import json

from clones import Seat, Seats, collect, until
from remotes import Remote


def test_library_needs_no_name_and_its_answer_finds_the_asker(file_remote: Remote, seats: Seats) -> None:
    app, library, second = seats(file_remote, "app", "library", "lib-two")
    app.ok("init")
    library.git("config", "gitcoord.repo", "library")
    app.ok("start", "app")
    waiting = app.start("ask", "repo:library", "What changed in v2?", "--timeout", "100s", "--json")
    until(lambda: bool(app.ok("status")["messages"]), "it was not sent")
    library.ok("start", "whoever")
    [note] = library.ok("inbox")["messages"]
    assert (note["subject"], note["to"], note["type"]) == ("What changed in v2?", "repo:library", "question")
    library.ok("reply", "get() waits now.")
    [ran] = collect([waiting])
    assert [one["subject"] for one in ran.json["messages"]] == ["get() waits now."]
    assert "nobody is there yet for repo:library" in ran.err
    second.ok("start", "late")
    assert second.ok("inbox")["messages"] == []


def test_question_to_nobody_waits_and_stays_open(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ran = ada.run("ask", "role:reviewer", "Is it right?", "--timeout", "0s")
    assert ran.code == 9
    assert "nobody is there yet for role:reviewer" in ran.err
    [item] = [one for one in ben.ok("status")["attention"] if one["kind"] == "unanswered"]
    assert "nobody of role:reviewer has answered ada" in item["text"]
    assert "nobody of role:reviewer has answered ada" in ben.run("board").out
    ben.ok("start", "--role", "reviewer")
    assert ben.run("status").out.index("has answered ada: Is it right?") > 0
    shown = ben.run("inbox").out
    [seq] = [one["seq"] for one in ben.ok("inbox", "--all")["messages"]]
    assert f'answer: gitcoord reply {seq} "…"' in shown
    ben.ok("reply", str(seq), "It is.")
    assert ada.ok("status")["attention"] == []
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["It is."]


def test_who_is_there_with_a_role_and_a_capability(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("start", "--role", "reviewer", "--capability", "rust")
    assert [one["session_id"] for one in ada.ok("peers", "--capability", "rust", "--role", "reviewer")["sessions"]] == ["ben"]
    assert ada.ok("peers", "--role", "builder")["sessions"] == []
    ran = ada.run("send", "cap:rust", "hello")
    assert (ran.code, ran.err) == (0, "")


def test_sender_sees_who_has_read_it(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("start", "--role", "reviewer")
    for to in ("ben", "role:reviewer", "broadcast"):
        ada.ok("send", to, f"to {to}")
    assert [one["read_by"] for one in ada.ok("inbox", "--sent")["messages"]] == [[], [], []]
    assert ada.run("inbox", "--sent").out.count("read by: nobody yet") == 2
    assert len(ben.ok("inbox")["messages"]) == 3
    assert [one["read_by"] for one in ada.ok("inbox", "--sent")["messages"]] == [["ben"]] * 3
    assert ada.run("inbox", "--sent").out.count("read by: ben") == 2
    assert "read_by" not in ben.ok("inbox", "--all")["messages"][0]


def test_notice_is_pinned_and_reaches_who_starts_later(pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats) -> None:
    ada, ben = pair
    ada.ok("send", "broadcast", "main is frozen", "--type", "notice", "--expires", "4h")
    assert "main is frozen" in ben.run("board").out
    assert [one["subject"] for one in ben.ok("status")["notices"]] == ["main is frozen"]
    assert "main is frozen (ada, for another 4 h)" in ben.run("status").out
    (late,) = seats(file_remote, "late")
    late.ok("start", "late")
    assert [one["subject"] for one in late.ok("inbox")["messages"]] == ["main is frozen"]
    assert late.ok("inbox")["messages"] == []


def test_two_that_only_talk_are_stopped_and_told_why(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("config", "--shared", "talk_limit", "2")
    ada.ok("send", "ben", "?", "--type", "question")
    for number, (seat, other) in enumerate([(ben, "ada"), (ada, "ben"), (ben, "ada")]):
        seq = seat.ok("inbox")["messages"][-1]["seq"]
        seat.ok("send", other, f"answer {number}", "--type", "answer", "--reply-to", str(seq))
    seq = ada.ok("inbox")["messages"][-1]["seq"]
    ran = ada.run("reply", str(seq), "and on", "--json")
    assert ran.code == 1
    assert ran.json["error"] == "looping"
    assert "answered each other 2 times" in ran.json["message"]
    assert ran.json["hint"]
    ada.ok("heartbeat", "building", "the parser")
    ada.ok("reply", str(seq), "and on")


def test_message_from_outside_is_marked_as_a_persons_and_unverified(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("send", "ben", "hello", "--detail", "via=slack", "--detail", "author=Kim")
    assert "a person via slack, unverified" in ben.run("inbox").out


def test_request_says_how_to_answer_it(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "src/api.py")
    ben.ok("request", "src/api.py", "May I?")
    out = ada.run("inbox").out
    [seq] = [one["seq"] for one in ada.ok("inbox", "--all")["messages"]]
    assert f"answer: gitcoord respond {seq} approve|deny|share" in out
    ada.ok("respond", str(seq), "approve")


def test_past_messages_are_still_shown_and_found_by_their_number(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    for number in range(5):
        ada.ok("send", "ben" if number % 2 else "broadcast", f"{number}")
    assert len(ben.ok("inbox")["messages"]) == 5
    kept = ben.ok("inbox", "--all")["messages"]
    assert [one["subject"] for one in kept] == ["0", "1", "2", "3", "4"]
    ben.ok("reply", str(kept[1]["seq"]), "to the second")
    ben.ok("reply", str(kept[2]["seq"]), "to the third, which was to all")
    assert [one["in_reply_to"] for one in ada.ok("inbox")["messages"]] == [kept[1]["id"], kept[2]["id"]]
    ran = ben.run("reply", "999", "to nothing", "--json")
    assert ran.code == 2
    assert ada.ok("verify", "--full")["ok"] is True
    paths = ada.git("ls-tree", "-r", "--name-only", "origin/coordination", "messages/").splitlines()
    assert sum(path.startswith("messages/direct/ada/") for path in paths) == 0
    assert json.dumps(paths).count("messages/read/") == 4

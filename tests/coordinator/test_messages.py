"""Sessions that ask, answer and listen, on real git: nothing is lost, nothing comes twice, nobody waits for ever."""

from __future__ import annotations

import pytest
from clones import Clock, Seat, Seats, collect, until
from remotes import Remote

from gitcoord.errors import BadInput, NoSession, NotInTime


def asked(seat: Seat) -> int:
    """The seq of the newest question to the session there, once it has come."""
    found: list[int] = []

    def look() -> bool:
        notes = seat.ok("inbox", "--peek")["messages"]
        found[:] = [one["seq"] for one in notes if one["type"] == "question"]
        return bool(found)

    until(look, "no question came")
    return found[-1]


@pytest.mark.usually("file", "http")
def test_question_is_answered_from_another_clone(remote: Remote, seats: Seats) -> None:
    app, lib = seats(remote, "app", "lib")
    app.ok("init")
    for seat in (app, lib):
        seat.ok("start", seat.path.name)
    waiting = app.start("ask", "lib", "What changed in v2?", "--timeout", "100s", "--json")
    [heard] = lib.ok("listen", "--timeout", "100s")["messages"]
    assert (heard["from"], heard["type"], heard["subject"]) == ("app", "question", "What changed in v2?")
    lib.ok("reply", "get() waits now.\nUse get_sync().")
    [answered] = collect([waiting])
    [answer] = answered.json["messages"]
    assert (answer["from"], answer["type"], answer["in_reply_to"]) == ("lib", "answer", heard["id"])
    assert answer["message"] == "get() waits now.\nUse get_sync()."
    assert app.ok("status")["attention"] == []


def test_who_is_asked_may_ask_back_and_both_get_their_answers(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    first = ada.start("ask", "ben", "Which branch do I take?", "--timeout", "100s", "--json")
    question = asked(ben)
    second = ben.start("ask", "ada", "For which release?", "--reply-to", str(question), "--timeout", "100s", "--json")
    [back] = collect([first])[0].json["messages"]
    assert (back["type"], back["subject"]) == ("question", "For which release?")
    final = ada.start("reply", "For 2.1.", "--wait", "--timeout", "100s", "--json")
    [release] = collect([second])[0].json["messages"]
    assert (release["type"], release["subject"]) == ("answer", "For 2.1.")
    open_ = [one for one in ben.ok("inbox", "--all")["messages"] if one["type"] == "question" and one["status"] != "answered"]
    assert [one["subject"] for one in open_] == ["Which branch do I take?"]
    ben.ok("reply", str(question), "main")
    [answer] = collect([final])[0].json["messages"]
    assert (answer["type"], answer["subject"]) == ("answer", "main")


def test_two_that_ask_each_other_at_once_both_get_answers(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    asking = [
        ada.start("ask", "ben", "yours?", "--timeout", "100s", "--json"),
        ben.start("ask", "ada", "mine?", "--timeout", "100s", "--json"),
    ]
    for seat in (ada, ben):
        asked(seat)
        seat.ok("reply", f"from {seat.path.name}")
    answers = [ran.json["messages"][0]["subject"] for ran in collect(asking)]
    assert answers == ["from ben", "from ada"]


def test_unanswered_question_stays_open_and_is_shown(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ran = ada.run("ask", "ben", "still there?", "--timeout", "0s", "--json")
    assert ran.code == 9
    assert ran.json["messages"] == []
    [item] = [one for one in ada.ok("status")["attention"] if one["kind"] == "unanswered"]
    assert item["sessions"] == ["ada", "ben"]
    ben.ok("reply", "yes")
    [late] = ada.ok("inbox")["messages"]
    assert (late["type"], late["subject"], late["in_reply_to"]) == ("answer", "yes", ran.json["id"])


def test_ended_session_can_not_be_asked_and_its_notes_are_told(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("end", "--notes", "v2 is done, see CHANGES")
    ran = ada.run("ask", "ben", "and v3?")
    assert ran.code == 2
    assert "v2 is done, see CHANGES" in ran.err


def test_reply_alone_needs_exactly_one_open_question(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with ben.here() as found, pytest.raises(BadInput, match="no message to answer"):
        found.coordinator.messages.reply(None, "yes")
    with ada.here() as found:
        for text in ("one?", "two?"):
            with pytest.raises(NotInTime):
                found.coordinator.messages.ask("ben", text, seconds=0.0)
    with ben.here() as found, pytest.raises(BadInput, match=r"2 questions are open.*one.*two"):
        found.coordinator.messages.reply(None, "yes")
    with ben.here() as found, pytest.raises(BadInput):
        found.coordinator.messages.reply("01ARZ3NDEKTSV4RRFFQ69G5FAV", "yes")
    with ben.here() as found, pytest.raises(NoSession):
        found.coordinator.messages.ask("nobody", "hm?", seconds=0.0)


def test_reply_answers_any_message(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("send", "broadcast", "to all")
    first = ada.ok("send", "ben", "a note")
    ada.ok("send", "ben", "another\nwith a text")
    told = ben.run("reply", "thanks")
    assert "#" in told.err, told  # which one was answered
    ben.ok("reply", "thanks for the first")  # the other is answered by now
    assert ben.run("reply", "and now?").code == 2  # nothing is left; what went to all is named
    ben.ok("reply", str(first["seq"]), "once more")
    answers = ada.ok("inbox")["messages"]
    assert [one["in_reply_to"] == first["id"] for one in answers] == [False, True, True]
    assert {one["type"] for one in answers} == {"answer"}
    own = ada.run("reply", str(first["seq"]), "to myself")
    assert own.code == 2


def test_message_of_a_listener_that_was_cut_comes_back_flagged(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    clock = Clock()
    with ada.here(clock) as found:
        found.coordinator.messages.send("ben", "news", "")
    with ben.here(clock) as found:
        [first] = next(found.coordinator.messages.listen(0.0)).found  # cut before it is shown
        assert first.subject == "news"
    with ben.here(clock) as found:
        assert list(found.coordinator.messages.listen(0.0)) == []
    clock.move(seconds=121)
    with ben.here(clock) as found:
        again = next(found.coordinator.messages.listen(0.0))
        assert ([one.subject for one in again.found], again.again) == (["news"], {first.id})
        found.coordinator.messages.shown(again.found)


def test_waiting_inbox_returns_when_something_comes(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    waiting = ben.start("inbox", "--wait", "--timeout", "100s", "--json")
    ada.ok("send", "ben", "hello")
    assert [one["subject"] for one in collect([waiting])[0].json["messages"]] == ["hello"]
    assert ben.run("inbox", "--wait", "--timeout", "0s").code == 9
    assert ben.run("inbox", "--timeout", "5s").code == 2
    assert ben.run("inbox", "--wait", "--all").code == 2


def test_what_another_clone_took_for_us_is_shown_though_the_remote_is_away_for_a_moment(
    file_remote: Remote, seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben, other = seats(file_remote, "ada", "ben", "other", machine="one")
    ada.ok("init")
    ada.ok("start", "ada")
    ben.ok("start", "ben")
    with ben.here() as found, other.here() as flushing:
        found.coordinator.branch.view()
        found.coordinator.messages.send("ben", "seen before", "")
        found.coordinator.branch.view()
        ada.ok("send", "ben", "new to this clone")
        read, away = found.tip.read, [True, True]

        def unlucky(seconds: float) -> str:
            if not away:
                return read(seconds)
            away.pop()
            file_remote.away()
            try:
                return read(seconds)
            finally:
                file_remote.back()

        monkeypatch.setattr(found.coordinator.parts.submitter, "submit", flushing.coordinator.parts.submitter.submit)
        view = found.coordinator.branch.view(fresh=False)
        monkeypatch.setattr(found.tip, "read", unlucky)
        mail = found.coordinator.messages.unread.look(view)
    assert [one.subject for one in mail.found] == ["seen before", "new to this clone"]

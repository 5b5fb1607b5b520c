"""An agent's day, by replayed hook events in two clones on two machines; and what one session is told of a day of ten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sandbox
from agent_player import Claude, Host
from clones import Seat, Seats
from guards import commit
from pure_branch import Story, minutes
from remotes import Remote

from gitcoord.agents.mailbox import Letter, Mailbox
from gitcoord.views import briefing, quoting
from gitcoord.views.briefing import BriefedUpTo


@pytest.fixture
def clones(file_remote: Remote, seats: Seats) -> Iterator[tuple[Seat, Seat, list[Host]]]:
    """Two clones with the same file, the branch made; the agents' processes end with the test."""
    ada, ben = seats(file_remote, "ada", "ben")
    commit(ada, "files", "src/api.py")
    ada.git("push", "--quiet", "origin", "HEAD")
    with ada.here() as found:
        found.coordinator.setup.init()
    ben.git("pull", "--quiet")
    hosts: list[Host] = []
    yield ada, ben, hosts
    for host in hosts:
        host.kill()


@pytest.mark.parametrize(
    "boxed", [False, pytest.param(True, marks=pytest.mark.skipif(bool(sandbox.why_not()), reason=sandbox.why_not()))]
)
def test_an_agents_day(clones: tuple[Seat, Seat, list[Host]], file_remote: Remote, tmp_path: Path, boxed: bool) -> None:
    """`boxed`: Ben's agent runs its commands without network and with a read-only git directory; its hooks stand outside."""
    ada_seat, ben_seat, hosts = clones
    hosts += [Host(ada_seat), Host(ben_seat)]
    ada, ben = Claude(ada_seat, "a-1", hosts[0]), Claude(ben_seat, "b-1", hosts[1])
    box = file_remote.path if boxed else None
    if boxed:
        (tmp_path / "tmp").mkdir()
        ben.env["TMPDIR"] = str(tmp_path / "tmp")
    ada_seat.git("config", "gitcoord.guard", "block")

    # Ben's agent starts and claims; Ada's is told so when it starts, and can't edit that file.
    assert "You are session claude-main." in ben.start()
    ben.gitcoord("claim", "src/api.py", "--reason", "the new parser")
    ben.hidden = box  # the claim was made by a tool outside: inside none is granted
    told = ada.start()
    assert "You are session claude-main-2." in told
    assert "file:src/api.py by claude-main until" in told
    denied = ada.edit(str(ada_seat.path / "src/api.py"))
    assert denied["permissionDecision"] == "deny"
    assert "held by claude-main" in denied["permissionDecisionReason"]

    # It asks; Ben's agent is about to stop, answers instead, and Ada's is told the answer.
    ada.gitcoord("send", "claude-main", "may I have src/api.py?", "--type", "question")
    ada.stop()
    ben.fetch()
    asked = json.dumps(ben.stop())
    assert "may I have src/api.py?" in asked
    assert ben.gitcoord("reply", "at noon")["state"] == ("queued" if boxed else "committed")
    ben.settle()
    assert ben.stop(nagged=True) == {}
    ada.fetch()
    assert "claude-main (answer): at noon" in ada.prompt()

    # Ben's agent crashes; the next one in that work tree goes on as the same session, and hands the work over.
    first = ben.run
    ben.settle()
    hosts[1].kill()
    hosts[1] = Host(ben_seat)
    ben = Claude(ben_seat, "b-2", hosts[1], env=ben.env, hidden=box)
    told = ben.start()
    assert "You are session claude-main." in told
    assert "You hold:" in told
    assert ben.run != first
    ben.gitcoord("handoff", "claude-main-2", "--next", "the tests of the parser")
    ben.fetch()
    ada.fetch()
    assert "the tests of the parser" in ada.prompt()
    ada.gitcoord("take")
    assert "permissionDecision" not in ada.edit(str(ada_seat.path / "src/api.py"))
    ada.edit(str(ada_seat.path / "src/api.py"), "PostToolUse")

    for claude in (ben, ada):
        claude.end()
        claude.settle()

    # What is left can be read with git alone.
    ada_seat.git("fetch", "--quiet", "origin", "coordination:refs/remotes/origin/coordination")
    subjects = ada_seat.git("log", "--reverse", "--format=%s", "origin/coordination").splitlines()
    wanted = [
        "start: claude-main", "claim: file src/api.py by claude-main until", "start: claude-main-2",
        "message: claude-main-2 to claude-main: may I have src/api.py?", "read: claude-main takes 1 message",
        "message: claude-main to claude-main-2: at noon", "read: claude-main-2 takes 1 message", "resume: claude-main",
        "handoff: ", "end: claude-main", "end: claude-main-2",
    ]  # fmt: skip
    places = [next((n for n, subject in enumerate(subjects) if subject.startswith(one)), -1) for one in wanted]
    assert -1 not in places, (subjects, places)
    assert subjects[-1].startswith("end: claude-main-2") or subjects[-2].startswith("end: claude-main-2")
    board = ada_seat.git("show", "origin/coordination:STATUS_BOARD.md")
    assert "claude-main-2" in board
    assert ada_seat.git("ls-tree", "-r", "--name-only", "origin/coordination", "claims/", "waiting/") == ""
    runs = ada_seat.git(
        "log", "--format=%(trailers:key=Coord-Run,valueonly)", "--grep=^Coord-Session: claude-main$", "origin/coordination"
    )
    assert len({line for line in runs.splitlines() if line}) == 2
    assert ada_seat.ok("verify")["ok"]


def test_a_day_of_ten_sessions_tells_one_of_them_only_what_concerns_it(tmp_path: Path) -> None:
    """Sixteen turns of half an hour, in each of which every other session claims, says that it is done to all or tells another;
    what is laid in the mailbox of one, and what its hooks say, by the code that does it.
    """
    others = [f"s{number}" for number in range(9)]
    story = Story.of("me", *others)
    first = briefing.brief(story.state, "me", story.now, nonce="0" * 32)
    mailbox, seen = Mailbox(tmp_path / "mailbox"), BriefedUpTo(story.state.seq, "me-1")
    mailbox.touch()
    sizes, mine = [len(first.text.encode())], 0
    story.claim("me", "src/mine.py")
    for turn in range(16):
        story.wait(minutes(30))
        for number, other in enumerate(others):
            story.beat(other, action="building", target=f"part {number}")
            story.claim(other, f"part{number}/{turn}.py")
            story.send(other, others[number - 1], f"note {turn}", message="x" * 500)
            story.release(other, f"part{number}/{turn}.py")
        story.beat("me", action="building", target="mine")
        story.send(others[turn % 9], "me", f"for me {turn}", message="y" * 200)
        if turn % 8 == 0:
            story.send(others[0], "broadcast", f"all: {turn}", message="z" * 200)
        found = story.unread("me")
        story.take("me")
        for one in found:
            mailbox.put(Letter(one.id, one.seq, briefing.letter(one), asks=one.asks))
        news = briefing.brief(story.state, "me", story.now, nonce="0" * 32, seen=seen, only=briefing.CONCERNS)
        seen = news.seen
        if news.text:
            mailbox.put_news(news.lines, {"seq": seen.seq})
        hand = mailbox.take(4096 - 200)
        mine += sum("for me" in line or "all: " in line for line in hand.lines)
        assert not any("note " in line or "part" in line for line in hand.lines)
        mailbox.done(hand)
        if hand.lines:
            sizes.append(len(quoting.quoted(hand.lines, "0" * 32).encode()) + 100)
    assert mine == 18  # all that was to it or to all
    print(f"a day of ten sessions: {story.state.seq} events; told to one: {sum(sizes)} bytes in {len(sizes)} injections")
    assert max(sizes) <= 4096
    assert sum(sizes) <= 16_000  # some 4,000 tokens

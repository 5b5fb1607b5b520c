"""The checker of storms must catch what it is there for: hand-made branches and records, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from checker import CLASSES, Event, Report, check, meet, read_branch
from clones import Seat
from gits import git

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Story:
    """A branch and the calls that made it, one after the other: event and call number n happen at n minutes past noon."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.calls: list[dict[str, Any]] = []
        self.verified: dict[str, Any] = {"ok": True, "problems": []}
        self.remembered: list[list[str]] = []
        self.event("branch.opened", "init")
        self.event("session.started", "ada")
        self.event("session.started", "ben")
        self.claim("ada", "file:src")  # 4
        self.refused("ben", "file:src/api.py", ["file:src", "ada", 4])
        self.send("ben", "ada", "hello")  # 5
        self.take("ada", "op-5")  # 6
        self.release("ada", "file:src", 4)  # 7
        self.claim("ben", "file:src/api.py")  # 8

    @property
    def seq(self) -> int:
        """The newest event's number."""
        return len(self.events)

    def when(self, minutes: float) -> datetime:
        """An instant of the story."""
        return NOON + timedelta(minutes=minutes)

    def event(self, kind: str, session: str, *, minutes: float | None = None, **trailers: list[str]) -> Event:
        """The next event of the branch."""
        seq = self.seq + 1
        at = self.when(seq if minutes is None else minutes)
        named = {name.replace("_", "-"): values for name, values in trailers.items()}
        self.events.append(Event(f"{seq:040x}", seq, f"op-{seq}", kind, session, f"run-{session}", at, at, named))
        return self.events[-1]

    def call(self, kind: str, session: str, answer: str, *, of: Event | None = None, **more: Any) -> dict[str, Any]:
        """The next call. `of`: the event that it is about."""
        begin = 100.0 * (len(self.calls) + 1)
        found = {"n": len(self.calls) + 1, "session": session, "kind": kind, "answer": answer, "wanted": []}
        found |= {"begin": begin, "end": begin + 50, "at": self.when(self.seq).isoformat()}
        if of is not None:
            found["op"] = of.id
            if answer == "done" and kind != "inbox":
                found |= {"seq": of.seq, "commit": of.oid}
        self.calls.append({**found, **more})
        return self.calls[-1]

    def claim(self, session: str, resource: str, *, answer: str = "done", minutes: float = 60, **trailers: Any) -> dict[str, Any]:
        """A claim that is granted."""
        expires = self.when(self.seq + 1 + minutes).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = self.event("claim.acquired", session, Resource=[resource], Expires=[expires], **trailers)
        held = {"held": [[resource, event.seq]]} if answer == "done" else {}
        return self.call("claim", session, answer, of=event, wanted=[resource], **held)

    def refused(self, session: str, resource: str, *holders: list[Any]) -> dict[str, Any]:
        """A claim that is refused."""
        return self.call(
            "claim", session, "refused", error="held", wanted=[resource], holders=list(holders), op=f"no-{len(self.calls)}"
        )

    def release(self, session: str, resource: str, fence: int) -> dict[str, Any]:
        """A release."""
        return self.call("release", session, "done", of=self.event("claim.released", session, Released=[f"{fence} {resource}"]))

    def renew(self, session: str, resource: str, fence: int, *, minutes: float = 60) -> dict[str, Any]:
        """A renewal."""
        until = self.when(self.seq + 1 + minutes).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = self.event("claim.renewed", session, Renewed=[f"{fence} {until} {resource}"])
        return self.call("renew", session, "done", of=event, wanted=[resource], held=[[resource, fence]])

    def send(self, session: str, to: str, subject: str, answer: str = "done") -> dict[str, Any]:
        """A message."""
        event = self.event("message.sent", session, To=[to], Subject=[subject])
        return self.call("send", session, answer, of=event, to=to, subject=subject)

    def take(self, session: str, *keys: str, minutes: float | None = None, again: tuple[str, ...] = ()) -> dict[str, Any]:
        """An inbox that takes messages and shows them."""
        event = self.event("message.read", session, minutes=minutes, Message=list(keys))
        return self.call("inbox", session, "done", of=event, messages=list(keys), again=list(again))

    def judge(self) -> Report:
        """What the checker says."""
        return check(self.calls, self.events, self.verified, remembered=self.remembered)


# --- what is right ---------------------------------------------------------------------------------------------------


def _nothing(story: Story) -> None:
    pass


def _killed_either_way(story: Story) -> None:
    story.claim("ada", "slot:db", answer="killed")
    story.claim("ada", "slot:staging", answer="unknown")
    for answer in ("killed", "unknown"):
        story.call("claim", "ada", answer, op=f"never-{answer}", wanted=["slot:x"])
    story.call("claim", "ada", "killed")  # before it had an id


def _late_release(story: Story) -> None:
    event = story.event("claim.released", "ada", Lapsed=["the lease is over"])
    story.call("release", "ada", "refused", error="not_held", of=event)
    story.call("release", "ada", "queued", op="nothing", fences=[["file:src", 0]])


def _shared(story: Story) -> None:
    story.claim("ada", "slot:db", Mode=["shared"])
    story.claim("ben", "slot:db", Mode=["shared"])
    story.refused("ada", "slot:db", ["slot:db", "ben", story.seq])


def _shared_beside_own(story: Story) -> None:
    story.claim("ben", "file:src", Mode=["shared"])  # one's own leases are in nobody's way


def _taken_over(story: Story) -> None:
    story.claim("ada", "slot:db", minutes=1)
    fence = story.seq
    story.event("heartbeat.recorded", "ben")
    story.claim("ben", "slot:db", Taken=[f"{fence} ada expired slot:db"])
    story.take("ada", f"op-{story.seq}.0")  # the message about it
    story.claim("ada", "slot:db", Taken=[f"{story.seq - 1} ben broken slot:db"])


def _of_the_ended(story: Story) -> None:
    story.call("end", "ben", "done", of=story.event("session.ended", "ben"))
    story.claim("ada", "file:src/api.py")
    story.call("send", "ben", "refused", error="no_session")


def _shown_again(story: Story) -> None:
    story.send("ben", "ada", "again")
    key = f"op-{story.seq}"
    story.event("message.read", "ada", Message=[key])
    story.call("inbox", "ada", "killed", op=f"op-{story.seq}")
    story.take("ada", key, minutes=story.seq + 2, again=(key,))


def _at_the_same_time(story: Story) -> None:
    first = story.claim("ada", "slot:db")
    second = story.call("claim", "ben", "refused", error="held", wanted=["slot:db"], holders=[["slot:db", "ada", first["seq"]]])
    freed = story.release("ada", "slot:db", first["seq"])
    third = story.claim("ben", "slot:db")
    for call in (first, second, freed, third):
        call |= {"begin": 5000.0, "end": 6000.0}


def _asked_again(story: Story) -> None:
    call = story.claim("ada", "slot:db", answer="killed")
    story.call("claim", "ada", "done", op=call["op"], seq=story.seq, held=[["slot:db", story.seq]])


RIGHT: list[Callable[[Story], None]] = [
    _nothing, _killed_either_way, _late_release, _shared, _shared_beside_own, _taken_over, _of_the_ended, _shown_again,
    _at_the_same_time, _asked_again,
]  # fmt: skip


@pytest.mark.parametrize("tell", RIGHT)
def test_what_is_right_passes(tell: Callable[[Story], None]) -> None:
    story = Story()
    tell(story)
    assert story.judge().violations == {name: [] for name in CLASSES}


# --- what is wrong ---------------------------------------------------------------------------------------------------


def _done_and_not_there(story: Story) -> None:
    story.call("send", "ada", "done", op="nowhere", seq=9)


def _told_another_commit(story: Story) -> None:
    story.call("heartbeat", "ada", "done", of=story.event("heartbeat.recorded", "ada"), commit="f" * 40)


def _queued_and_never_came(story: Story) -> None:
    story.call("send", "ada", "queued", op="nowhere")


def _queued_release_never_came(story: Story) -> None:
    story.call("release", "ben", "queued", op="nowhere", fences=[["file:src/api.py", 8]])


def _carried_out_for_another(story: Story) -> None:
    story.call("heartbeat", "ada", "done", of=story.event("heartbeat.recorded", "ben"))


def _held_and_not_there(story: Story) -> None:
    story.call("claim", "ada", "done", op="nowhere", seq=9, held=[["slot:db", 9]])


def _held_under_another_fence(story: Story) -> None:
    story.claim("ada", "slot:db")["held"] = [["slot:db", 4]]


def _two_holders(story: Story) -> None:
    story.claim("ada", "file:src/*.py")


def _exclusive_beside_shared(story: Story) -> None:
    story.claim("ada", "slot:db", Mode=["shared"])
    story.claim("ben", "slot:db")


def _taken_too_early(story: Story) -> None:
    story.claim("ada", "file:src/api.py", Taken=["8 ben expired file:src/api.py"])


def _taken_from_the_living(story: Story) -> None:
    story.claim("ada", "file:src/api.py", Taken=["8 ben ended file:src/api.py"])


def _taken_from_the_talkative(story: Story) -> None:
    story.claim("ada", "file:src/api.py", Taken=["8 ben stale file:src/api.py"])


def _renewed_after_its_end(story: Story) -> None:
    story.claim("ada", "slot:db", minutes=1)
    fence = story.seq
    story.event("heartbeat.recorded", "ben")
    story.renew("ada", "slot:db", fence)


def _refused_and_landed(story: Story) -> None:
    story.claim("ada", "slot:db", answer="refused")["error"] = "not_in_time"


def _unreachable_and_landed(story: Story) -> None:
    story.calls[-1] |= {"answer": "refused", "error": "unreachable"}


def _nothing_to_do_and_landed(story: Story) -> None:
    story.renew("ben", "file:src/api.py", 8)["answer"] = "unchanged"


def _names_one_who_never_held(story: Story) -> None:
    story.refused("ada", "slot:db", ["slot:db", "ben", 8])


def _names_one_who_is_through(story: Story) -> None:
    story.refused("ada", "file:src/api.py", ["file:src", "ada", 4], ["file:src/api.py", "ben", 8])


def _names_one_who_comes_later(story: Story) -> None:
    story.refused("ada", "slot:db", ["slot:db", "ben", story.seq + 1])
    story.claim("ben", "slot:db")


def _names_what_is_not_in_the_way(story: Story) -> None:
    story.refused("ada", "slot:db", ["file:src/api.py", "ben", 8])


def _held_by_nobody(story: Story) -> None:
    story.refused("ada", "slot:db")


def _not_held_although_it_was(story: Story) -> None:
    story.call("renew", "ben", "refused", error="not_held", wanted=["file:src/api.py"])


def _no_session_although_it_lives(story: Story) -> None:
    story.call("claim", "ada", "refused", error="no_session", wanted=["slot:db"])


def _answered_first_stands_second(story: Story) -> None:
    late, early = story.send("ada", "ben", "one"), story.send("ben", "ada", "two")
    for key in ("begin", "end"):
        late[key], early[key] = early[key], late[key]


def _number_left_out(story: Story) -> None:
    story.event("heartbeat.recorded", "ada")
    del story.events[-2]
    del story.calls[-1]


def _operation_twice(story: Story) -> None:
    first = story.event("heartbeat.recorded", "ada")
    second = story.event("heartbeat.recorded", "ada")
    story.events[-1] = Event(second.oid, second.seq, first.id, second.kind, "ada", second.run, second.said, second.committed)


def _old_view(story: Story) -> None:
    story.call("renew", "ada", "unchanged", seq=5)


def _old_fence_released(story: Story) -> None:
    story.release("ada", "file:src", 4)


def _old_fence_renewed(story: Story) -> None:
    story.calls = story.calls[:1]
    story.event("claim.renewed", "ada", Renewed=["4 2026-03-01T14:00:00Z file:src"])


def _taken_over_twice(story: Story) -> None:
    story.claim("ada", "slot:db", Taken=["4 ada ended file:src"])


def _fence_used_again(story: Story) -> None:
    story.release("ben", "file:src/api.py", 8)
    event = story.event("claim.acquired", "ada", Resource=["file:src/api.py"], Expires=["2026-03-01T14:00:00Z"])
    story.events[-1] = Event(event.oid, 8, "op-x", event.kind, "ada", event.run, event.said, event.committed, event.trailers)


def _sent_twice(story: Story) -> None:
    story.event("message.sent", "ben", To=["ada"], Subject=["hello"])


def _taken_twice(story: Story) -> None:
    story.event("heartbeat.recorded", "ada")
    story.take("ada", "op-5", again=("op-5",))
    story.calls.pop()


def _taken_again_too_soon(story: Story) -> None:
    story.send("ben", "ada", "again")
    key = f"op-{story.seq}"
    story.event("message.read", "ada", Message=[key])
    story.event("message.read", "ada", minutes=story.seq + 0.5, Message=[key])


def _shown_twice(story: Story) -> None:
    key = "op-6.0"  # made along the way, so its taking is not looked at one by one
    story.take("ada", key)
    story.take("ada", key, minutes=story.seq + 3, again=(key,))


def _taken_and_not_shown(story: Story) -> None:
    story.send("ben", "ada", "quiet")
    story.take("ada", f"op-{story.seq}")["messages"] = []


def _took_what_nobody_sent(story: Story) -> None:
    story.take("ada", "nowhere")


def _took_another_s(story: Story) -> None:
    story.take("ben", "op-5")
    story.calls.pop()


def _never_given(story: Story) -> None:
    story.send("ben", "broadcast", "to all")
    story.call("inbox", "ada", "done", messages=[], after=True)


def _refused_after_the_storm(story: Story) -> None:
    story.call("heartbeat", "ada", "refused", error="refused", after=True)


def _left_in_the_outbox(story: Story) -> None:
    story.call("sync", "ada", "done", unsent=1, after=True)


def _does_not_verify(story: Story) -> None:
    story.verified["ok"] = False


def _a_bad_commit(story: Story) -> None:
    story.verified["problems"] = [{"commit": "a" * 40, "reason": "it is a merge"}]


def _crashed(story: Story) -> None:
    story.call("claim", "ada", "crashed", error="AssertionError")


def _did_not_end(story: Story) -> None:
    story.call("claim", "ada", "hung")


def _a_clone_takes_a_good_commit_for_bad(story: Story) -> None:
    story.remembered.append(["c-0-0", "a" * 40, "its message can't be read"])


WRONG: dict[str, list[Callable[[Story], None]]] = {
    "lost": [
        _done_and_not_there, _told_another_commit, _queued_and_never_came, _queued_release_never_came, _carried_out_for_another,
    ],
    "false_held": [
        _held_and_not_there, _held_under_another_fence, _two_holders, _exclusive_beside_shared, _taken_too_early,
        _taken_from_the_living, _taken_from_the_talkative, _renewed_after_its_end,
    ],
    "false_lost": [
        _refused_and_landed, _unreachable_and_landed, _nothing_to_do_and_landed, _names_one_who_never_held,
        _names_one_who_is_through, _names_one_who_comes_later, _names_what_is_not_in_the_way, _held_by_nobody,
        _not_held_although_it_was, _no_session_although_it_lives,
    ],
    "order": [_answered_first_stands_second, _number_left_out, _operation_twice, _old_view],
    "fences": [_old_fence_released, _old_fence_renewed, _taken_over_twice],
    "messages": [
        _sent_twice, _taken_twice, _taken_again_too_soon, _shown_twice, _taken_and_not_shown, _took_what_nobody_sent,
        _took_another_s, _never_given,
    ],
    "wedged": [_refused_after_the_storm, _left_in_the_outbox],
    "invalid": [_does_not_verify, _a_bad_commit],
    "bad_by_fault": [_a_clone_takes_a_good_commit_for_bad],
    "crashed": [_crashed],
    "hung": [_did_not_end],
}  # fmt: skip


@pytest.mark.parametrize(("name", "tell"), [(name, tell) for name, stories in WRONG.items() for tell in stories])
def test_what_is_wrong_is_caught_and_called_by_its_name(name: str, tell: Callable[[Story], None]) -> None:
    story = Story()
    tell(story)
    found = story.judge()
    assert not found.ok
    assert [one for one, entries in found.violations.items() if entries] == [name], found.violations


def test_a_fence_that_is_used_again_breaks_the_order_too() -> None:
    story = Story()
    _fence_used_again(story)
    found = story.judge().violations
    assert found["fences"]
    assert found["order"]


def test_every_class_has_a_story_that_breaks_it() -> None:
    assert set(WRONG) == set(CLASSES)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("file:src", "file:src/api.py", True),
        ("file:src", "file:src2/api.py", False),
        ("file:src/*.py", "file:src/api.py", True),
        ("file:src/*.py", "file:src/api.md", False),
        ("file:src/*.py", "file:src/sub/api.py", False),
        ("file:src/**/*.py", "file:src/a/b/c.py", True),
        ("file:docs/**/*.md", "file:docs/guide", True),  # a path covers what is below it
        ("file:docs/**/*.md", "file:src", False),
        ("file:.", "file:anything", True),
        ("file:a?c", "file:abc", True),
        ("file:a*c", "file:*b*", True),
        ("file:a*c", "file:b*", False),
        ("slot:db", "slot:db", True),
        ("slot:db", "slot:db2", False),
        ("slot:src", "file:src", False),
    ],
)
def test_two_resources_meet_as_the_format_says(one: str, other: str, expected: bool) -> None:
    assert (meet(one, other), meet(other, one)) == (expected, expected)


def test_a_real_branch_is_read_as_the_program_reads_it(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "src/api.py", "--reason", "a first line\n\nCoord-Seq: 99")
    ben.ok("send", "ada", "café \\u{41}", "text")
    ada.ok("inbox")
    ada.ok("release", "--all", "--done", "ready")
    events, strange = read_branch(ada.path, "origin/coordination")
    said = ada.ok("log")["events"]
    assert [(one.seq, one.kind, one.session, one.oid) for one in events] == [
        (one["seq"], one["event"], one["session"], one["commit"]) for one in said
    ]
    assert strange == []
    assert events[4].one("Subject") == "café \\u{41}"
    assert events[3].all("Resource") == ["file:src/api.py"]
    assert check([], events, ada.ok("verify")).ok


def test_a_merge_and_a_stranger_s_commit_are_named(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "-b", "coordination")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "not an event")
    git(tmp_path, "checkout", "--quiet", "-b", "other")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "neither")
    git(tmp_path, "checkout", "--quiet", "coordination")
    git(tmp_path, "merge", "--quiet", "--no-ff", "-m", "merge", "other")
    events, strange = read_branch(tmp_path)
    assert events == []
    assert [words.partition(" is ")[2] for words in strange] == ["no event", "a merge"]

"""What a server refuses beyond bad commits: wrong dates, names that look alike, and, where it is set, a broken lease."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pure_branch import T0, Story, minutes, seconds

from gitcoord.core.claims import AcquireClaims
from gitcoord.core.sessions import SessionStarted
from gitcoord.errors import BadInput
from gitcoord.policy.rules import Policy, objection


def date_objection(story: Story, date: timedelta, clock: timedelta = timedelta(0), policy: Policy | None = None) -> str:
    """Return what is said of a heartbeat committed at T0 plus that, where the server's clock is at T0 plus the other."""
    event = story.event(SessionStarted, "ben", run_id="ben-1")
    return objection(policy or Policy(), story.state, event, T0 + date, T0 + clock)


def test_a_date_is_within_the_grace_of_the_servers_clock() -> None:
    story = Story.of("ada")
    assert date_objection(story, seconds(60)) == ""
    assert "is 1 minute 1 second ahead" in date_objection(story, seconds(61))
    assert date_objection(story, seconds(5), seconds(60), Policy(clock=seconds(5))) == ""
    assert "ahead" in date_objection(story, seconds(6), seconds(0), Policy(clock=seconds(5)))


def test_a_quiet_branch_takes_the_newest_date_and_nothing_before_it() -> None:
    """So does a machine whose clock was contradicted. An older date could make a living lease look too long to be true."""
    story = Story.of("ada")
    assert date_objection(story, seconds(0), minutes(600)) == ""
    assert date_objection(story, seconds(-60), minutes(600)) == ""
    assert "goes back by 1 minute 1 second" in date_objection(story, seconds(-61), minutes(600))


def test_after_a_commit_of_the_future_the_present_is_no_step_back() -> None:
    story = Story.of("ada", now=T0 + timedelta(days=300))
    assert date_objection(story, seconds(0)) == ""
    assert "goes back" in date_objection(story, minutes(-2))


def test_a_new_name_that_looks_like_another_is_refused() -> None:
    story = Story.of("ada-01")
    said = objection(Policy(), story.state, story.event(SessionStarted, "ada-o1", run_id="x"), T0, T0)
    assert said == "the name looks like ada-01, which is another session"
    story.end("ada-01")
    assert objection(Policy(), story.state, story.event(SessionStarted, "ada-01", run_id="ada-01-2"), T0, T0) == ""


@pytest.mark.parametrize(("given", "late", "refused"), [("breaks", 0, True), ("breaks", 90, False), ("if_stale", 50, False)])
def test_only_a_living_lease_is_kept_from_being_broken(given: str, late: int, refused: bool) -> None:
    story = Story.of("ada", "ben")
    story.claim("ada", "a", ttl_seconds=3600)
    story.wait(minutes(late))
    before = story.state
    [lease] = before.claims.values()
    more: dict[str, Any] = {"breaks": lease.fence} if given == "breaks" else {"if_stale": True}
    story.ask(story.command(AcquireClaims, "ben", resources=("file:a",), **more))
    happened = story.past[-1]
    assert happened.event.kind == "claim.acquired"
    for policy, said in ((Policy(keepleases=True), refused), (Policy(), False)):
        found = objection(policy, before, happened.event, happened.committed_at, story.now)
        assert found.startswith("it breaks the lease") == said, found


@pytest.mark.parametrize(("key", "value"), [("signed", "maybe"), ("clock", "-1"), ("clock", "1.5"), ("largest", "")])
def test_what_is_set_wrongly_allows_nothing(key: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"gitcoord.policy.{key}"):
        Policy.read({f"gitcoord.policy.{key}": value})


def test_what_is_set_is_read() -> None:
    config = {
        "gitcoord.policy.signed": "yes",
        "gitcoord.policy.keepleases": "",
        "gitcoord.policy.clock": "5",
        "gitcoord.remote": "x",
    }
    found = Policy.read(config)
    assert (found.signed, found.ownkey, found.keepleases, found.clock) == (True, False, True, seconds(5))

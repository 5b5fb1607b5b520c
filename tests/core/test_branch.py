"""The branch's own record: it is opened once, its settings change by events, and never to what doesn't fit."""

from __future__ import annotations

import pytest
from pure_branch import T0, Story, days, hours

from gitcoord.core import rules
from gitcoord.core.branch import (
    IGNORED_SHOWN,
    TOLD_TO_ALL,
    BranchOpened,
    FormatRaised,
    FormatUsed,
    FormatWithdrawn,
    OpenBranch,
    SettingsChanged,
    WithdrawFormat,
    setting_value,
)
from gitcoord.core.events import Clock, Event
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.records import SharedSettings
from gitcoord.core.sessions import StartSession
from gitcoord.core.state import State
from gitcoord.errors import BadInput, NotInitialised, TooOld
from gitcoord.log.wire import UnknownEvent
from gitcoord.views.attention import attention


@pytest.fixture
def story() -> Story:
    """A branch with two sessions, at ten o'clock."""
    return Story.of("ann", "bob")


def test_nothing_is_decided_before_the_branch_is_open() -> None:
    story = Story()
    with pytest.raises(NotInitialised) as refused:
        story.beat("ann", "building")
    assert refused.value.hint == "gitcoord init"
    assert story.problem(story.event(HeartbeatRecorded, "ann")) == "the branch isn't open yet"


def test_opening_makes_the_first_event() -> None:
    event = rules.decide(State(), OpenBranch(op="1", session="ann", at=T0), Clock(now=T0))
    assert isinstance(event, BranchOpened)
    assert event.seq == 1
    state = rules.evolve(State(), event, T0)
    assert state.branch is not None
    assert (state.seq, state.at, state.branch.format, state.branch.opened_at) == (1, T0, 1, T0)


def test_opening_twice_is_no_event_and_not_valid(story: Story) -> None:
    assert story.ask(story.command(OpenBranch, "ann")) is None
    assert story.problem(story.event(BranchOpened, "ann")) == "the branch is open already"


def test_defaults_are_those_of_the_protocol() -> None:
    settings = SharedSettings()
    assert settings.default_ttl == 3600
    assert settings.grace == 60
    assert settings.takeover_after == 30 * 60
    assert settings.heartbeat_every == 60
    assert settings.heartbeat_share == 12
    assert settings.skip_ci is True


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("default_ttl", "2h", 7200), ("default_ttl", "600", 600), ("grace", "30s", 30), ("retention", "7d", 7 * 86400),
     ("takeover_after", "1 hour", 3600), ("skip_ci", "off", False), ("skip_ci", "No", False), ("quiet_after", "10m", 600),
     ("heartbeat_share", "0", 0), ("guard", "block", "block"), ("guard", "Ask", "ask"), ("guard", " Off", "off")],
)  # fmt: skip
def test_setting_changes_for_all(story: Story, key: str, text: str, value: object) -> None:
    event = story.setting("ann", key, text)
    assert isinstance(event, SettingsChanged)
    assert getattr(story.state.rules.settings, key) == value
    others = {name: default for name, default in SharedSettings().model_dump().items() if name != key}
    assert story.state.rules.settings.model_dump(exclude={key}) == others


def test_setting_to_what_it_is_makes_no_event(story: Story) -> None:
    assert story.setting("ann", "default_ttl", "1h") is None
    assert story.setting("ann", "skip_ci", "on") is None


@pytest.mark.parametrize(
    ("key", "text"),
    [("remote_url", "x"), ("hook", "rm -rf"), ("model_config", "x"), ("", "1"), ("default_ttl", "1s"), ("default_ttl", "-1"),
     ("default_ttl", "soon"), ("default_ttl", ""), ("default_ttl", "11 years"), ("grace", "0"), ("grace", "2h"),
     ("retention", "1s"), ("takeover_after", "0"), ("skip_ci", "maybe"), ("skip_ci", "2"), ("max_ttl", "1e9"),
     ("guard", "loud"), ("guard", ""),
     ("max_ttl", "99999999999999999999")],
)  # fmt: skip
def test_setting_that_does_not_fit_is_bad_input(story: Story, key: str, text: str) -> None:
    with pytest.raises(BadInput):
        story.setting("ann", key, text)
    with pytest.raises(BadInput):
        setting_value(key, text)
    assert story.state.rules.settings == SharedSettings()


@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [("grace", "90", True), ("skip_ci", "false", True), ("grace", "0", False), ("grace", "1h", False), ("grace", "", False),
     ("unknown", "1", False), ("default_ttl", "299", False), ("retention", "60", False), ("skip_ci", "maybe", False),
     ("guard", "block", True), ("guard", "Block", False), ("guard", "loud", False)],
)  # fmt: skip
def test_only_a_known_setting_with_a_fitting_value_is_valid(story: Story, key: str, value: str, valid: bool) -> None:
    event = story.event(SettingsChanged, "ann", key=key, value=value)
    assert (story.problem(event) is None) is valid
    after = rules.evolve(story.state, event, T0)
    assert (after.rules.settings != story.state.rules.settings) is valid


def test_setting_survives_a_newer_programs_settings(story: Story) -> None:
    newer = story.state.rules.settings.model_copy(update={"capacity": 3})
    assert story.state.branch is not None
    branch = story.state.branch.model_copy(
        update={"settings": SharedSettings.model_validate({**newer.model_dump(), "capacity": 3})}
    )
    story.state = State(**{**story.state.__dict__, "branch": branch})
    story.setting("ann", "grace", "90s")
    assert story.state.rules.settings.grace == 90
    assert story.state.rules.settings.model_dump()["capacity"] == 3


def test_raised_format_stops_writers_of_the_old_one(story: Story) -> None:
    story.happen(story.event(FormatRaised, "ann", format=2))
    with pytest.raises(TooOld) as refused:
        story.beat("ann", "building")
    assert refused.value.exit_code == 8
    assert "upgrade" in refused.value.hint


@pytest.mark.parametrize(("raised", "valid"), [(2, True), (3, True), (1000, True)])
def test_format_only_grows(story: Story, raised: int, valid: bool) -> None:
    event = story.event(FormatRaised, "ann", format=raised)
    assert (story.problem(event) is None) is valid
    story.happen(event)
    assert story.problem(story.event(FormatRaised, "ann", format=raised)) == "the format doesn't grow"


def test_ignored_commits_are_named_and_their_number_stays_bounded(story: Story) -> None:
    for number in range(IGNORED_SHOWN + 3):
        event = story.event(HeartbeatRecorded, "ann", ignored=(f"{number:040x} it changes what its event doesn't",))
        story.happen(event)
    found = story.state.rules.ignored
    assert len(found) == IGNORED_SHOWN
    assert found[-1].commit == f"{IGNORED_SHOWN + 2:040x}"
    assert found[-1].reason == "it changes what its event doesn't"
    assert found[-1].seq == story.state.seq


@pytest.mark.parametrize("key", ["default_ttl", "max_ttl", "takeover_after", "quiet_after", "retention"])
def test_largest_value_of_a_setting_leaves_every_command_possible(story: Story, key: str) -> None:
    story.setting("ann", key, str(10 * 365 * 86400))
    fence = story.claim("ann", "a").seq
    story.wait(hours(1)).beat("bob", "building")
    story.claim("bob", "a", breaks=fence)
    story.wait(days(30)).renew("bob")
    story.end("bob")


# --- who speaks, and what all are told -------------------------------------------------------------------------------------


def test_few_kinds_can_be_said_by_nobody_in_particular() -> None:
    """A session that starts is not there yet; a message or a task of an old run harms nobody: their own rules ask for a session."""
    free = {kind for kind, event in rules.EVENTS.items() if not event.needs_session}
    begin = {"branch.opened", "repository.joined", "epoch.opened", "session.started", "session.resumed"}
    assert free == {*begin, "message.sent", "task.added"}


@pytest.mark.parametrize("kind", [*(one for one in rules.EVENTS.values() if one.needs_session), UnknownEvent])
@pytest.mark.parametrize(
    ("session", "run", "why"), [("nobody", "", "not a session"), ("bob", "", "has ended"), ("ann", "ann-1", "another run")]
)
def test_whoever_speaks_is_a_live_session_in_its_present_run(
    story: Story, kind: type[Event], session: str, run: str, why: str
) -> None:
    story.end("bob")
    story.ask(StartSession(op=story.op(), session="ann", run_id="ann-2", succeeds="ann-1", at=story.now))
    event = kind.model_construct(id=story.op(), seq=story.state.seq + 1, session=session, run_id=run, at=story.now)
    assert why in (story.problem(event) or "")


def test_a_raised_format_is_told_to_all_and_can_be_taken_back_until_something_rests_on_it(story: Story) -> None:
    raised = story.happen(story.event(FormatRaised, "ann", format=3))
    assert story.subjects("bob") == ["ann raised the branch's format to 3: older programs only read it"]
    assert next(one.kind for one in attention(story.state, story.now)) == "format"
    with pytest.raises(TooOld, match="format 3") as refused:
        story.claim("ann", "a")
    assert "gitcoord config --shared format 1" in refused.value.hint
    story.start("zoe")  # whoever takes it back may have to start for it
    assert story.problem(story.event(FormatWithdrawn, "zoe", format=2)) is not None
    taken_back = story.ask(story.command(WithdrawFormat, "zoe"))
    assert isinstance(taken_back, FormatWithdrawn)
    assert story.state.rules.format == 1
    assert story.claim("ann", "a") is not None
    assert "format" not in [one.kind for one in attention(story.state, story.now)]
    assert story.ask(story.command(WithdrawFormat, "zoe")) is None

    assert story.problem(story.event(FormatUsed, "ann", format=3)) is not None  # not raised
    story.happen(story.event(FormatRaised, "ann", format=raised.format))  # type: ignore[attr-defined]
    story.happen(story.event(FormatUsed, "ann", format=3))
    assert story.problem(story.event(FormatWithdrawn, "ann", format=3)) is not None
    with pytest.raises(TooOld) as refused:
        story.ask(story.command(WithdrawFormat, "zoe"))
    assert "config" not in refused.value.hint


@pytest.mark.parametrize("key", TOLD_TO_ALL)
def test_a_setting_by_which_leases_can_be_lost_is_told_to_all(story: Story, key: str) -> None:
    old = getattr(story.state.rules.settings, key)
    story.setting("ann", key, {"default_ttl": "600", "epoch_keep": "90000"}.get(key, "3600"))
    new = getattr(story.state.rules.settings, key)
    assert story.subjects("bob") == [f"ann changed {key} from {old} to {new} seconds, for all"]
    story.setting("ann", "skip_ci", "off")
    assert len(story.subjects("bob")) == 1

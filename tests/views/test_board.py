"""The board: everything of the protocol's example, bounded, the same bytes everywhere, and nothing in it that acts."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import freezegun
import pytest
from crowds import crowd
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pure_branch import T0, Story, days, hours, minutes
from strategies import UNSAFE, lines, many

from gitcoord.core.records import Heartbeat, Ignored, Session
from gitcoord.core.state import TABLES, State
from gitcoord.views import board

SECTIONS = ["⚠️ Coordination Needed", "🟢 Active Sessions", "🔒 Active Claims", "📬 Recent Messages (Last Hour)"]


def section(text: str, title: str) -> str:
    """What stands below a heading of the board."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture
def example_story() -> Story:
    """The example that the board was first drawn for, at 10:05."""
    story = Story.of(now=T0 - minutes(15))
    story.start("session-002")
    story.wait(minutes(15))
    story.start("session-001")
    story.start("session-003")
    story.claim("session-001", "droplet:church-guidance-ministry", ttl_seconds=14400, phase="BUILD")
    story.claim("session-002", "droplet:dashboard", ttl_seconds=1800)
    story.claim("session-003", "TREASURY_DYNAMIC_STRATEGY.md", ttl_seconds=3600)
    story.send("session-003", "session-001", "FYI - I'm researching treasury")
    story.wait(minutes(1)).send("session-001", "broadcast", "Starting church guidance ministry BUILD phase")
    story.wait(minutes(2)).send("session-002", "broadcast", "Dashboard tests passing")
    story.beat(
        "session-001", "Building", target="church-guidance-ministry droplet", phase="BUILD - implementing landing page",
        progress="30%",
        next_action="Implement intake form", estimated_completion=T0 + hours(2),
    )  # fmt: skip
    story.wait(minutes(2)).beat(
        "session-002", "Testing", target="dashboard deployment", progress="85%", next_action="Final verification"
    )
    return story


# --- what stands on it -------------------------------------------------------------------------------------------------


def test_board_has_the_sections_of_the_example(example_story: Story) -> None:
    text = board.render(example_story.state)
    assert text.startswith("# Multi-Session Status Board\n")
    assert [title for title in SECTIONS if f"\n## {title}\n" in text] == SECTIONS
    assert "**Last Updated:** 2025-11-15 10:05" in text
    assert "**Active Sessions:** 3" in text
    assert text.endswith("\n")


def test_board_shows_of_each_session_what_the_example_shows(example_story: Story) -> None:
    text = section(board.render(example_story.state), "🟢 Active Sessions")
    one = text.partition("### session-001 ")[2].partition("###")[0]
    assert "(Started: 10:00 UTC)" in one
    for row in (
        "- **Status:** Building",
        "- **Working On:** church-guidance-ministry droplet",
        "- **Phase:** BUILD - implementing landing page",
        "- **Progress:** 30%",
        "- **Last Update:** 10:03 UTC",
        "- **Next:** Implement intake form",
        "- **Est. Complete:** 12:00 UTC",
    ):
        assert f"\n{row}" in one, row
    assert re.findall(r"(?m)^### (\S+)", text) == ["session-002", "session-001", "session-003"]


def test_board_gives_a_fresh_until_time_instead_of_an_age(example_story: Story) -> None:
    text = board.render(example_story.state)
    assert "- **Last Update:** 10:05 UTC, fresh until 10:20 UTC" in text
    assert " ago" not in text


def test_board_shows_claims_with_holder_expiry_and_fence(example_story: Story) -> None:
    text = section(board.render(example_story.state), "🔒 Active Claims")
    lease = example_story.lease("droplet:church-guidance-ministry")
    assert lease is not None
    assert f"- **droplet:church-guidance-ministry**: session-001 (expires 14:00 UTC, fence {lease.fence}, BUILD)" in text
    assert "**droplet:dashboard**: session-002 (expires 10:35 UTC" in text
    assert text.count("\n- ") == 3


def test_what_is_over_or_silent_is_not_said_to_be_active(example_story: Story) -> None:
    example_story.wait(minutes(30)).beat("session-001", "Building")
    text = section(board.render(example_story.state), "🔒 Active Claims")
    assert "droplet:dashboard" not in text
    assert "session-001 (expires " in text
    whole = board.render(example_story.state)
    assert re.findall(r"(?m)^### (\S+)", section(whole, "🟢 Active Sessions")) == ["session-001"]
    quiet = section(whole, "💤 Quiet Sessions")
    assert re.findall(r"(?m)^- \*\*(\S+)\*\*, last heard (\S+ UTC)", quiet) == [
        ("session-002", "10:05 UTC"), ("session-003", "10:00 UTC"),
    ]  # fmt: skip
    assert "**Active Sessions:** 1 (2 quiet)" in whole
    assert "the claim of session-002 on droplet:dashboard expired" in section(board.render(example_story.state), SECTIONS[0])


def test_board_shows_the_messages_of_the_last_hour_newest_first(example_story: Story) -> None:
    text = section(board.render(example_story.state), "📬 Recent Messages (Last Hour)")
    assert re.findall(r"(?m)^- \*\*(\d\d:\d\d)\*\* (\S+) → (\S+): ", text) == [
        ("10:03", "session-002", "all"), ("10:01", "session-001", "all"), ("10:00", "session-003", "session-001"),
    ]  # fmt: skip
    example_story.wait(minutes(57)).beat("session-001", "Building")
    text = section(board.render(example_story.state), "📬 Recent Messages (Last Hour)")
    assert text.count("\n- ") == 1


def test_message_under_a_callers_own_id_is_shown_too(example_story: Story) -> None:
    for op in ("deploy-42", "0000000000-deploy-finished-2025", "00a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3"):
        example_story.send("session-001", "broadcast", f"from {op[:4]}", op=op)
    text = section(board.render(example_story.state), "📬 Recent Messages (Last Hour)")
    assert text.count("all: from ") == 3


def test_board_names_what_needs_somebody_and_says_when_nothing_does(example_story: Story) -> None:
    assert section(board.render(example_story.state), SECTIONS[0]).strip() == "- none"
    example_story.beat("session-003", "blocked", blocked_by="the deploy key")
    text = board.render(example_story.state)
    assert "- session-003 is blocked by the deploy key" in section(text, SECTIONS[0])
    assert "- **Blocked By:** the deploy key" in text


def test_board_shows_who_waits_for_whom(example_story: Story) -> None:
    example_story.beat("session-003", "waiting", target="person")
    assert "- **Status:** waiting for person" in board.render(example_story.state)


def test_board_shows_work_that_is_ready_and_sessions_that_ended(example_story: Story) -> None:
    example_story.release("session-002", "droplet:dashboard", next_phase="PRODUCTION", tests="pass")
    example_story.end("session-003", done=("the strategy",))
    text = board.render(example_story.state)
    ready = section(text, "📦 Ready To Pick Up")
    assert "droplet:dashboard for **PRODUCTION**" in ready
    assert "session-002" in ready
    assert "tests pass" in ready
    assert "- session-003 at 10:05 UTC after 5 minutes: the strategy" in section(text, "🏁 Ended Today")
    assert "### session-003" not in text


def test_board_names_ignored_commits(example_story: Story) -> None:
    assert "Ignored" not in board.render(example_story.state)
    assert example_story.state.branch is not None
    ignored = (Ignored(commit="ab" * 20, reason="it changes what its event doesn't", seq=7),)
    branch = example_story.state.branch.model_copy(update={"ignored": ignored})
    text = board.render(State(**{**example_story.state.__dict__, "branch": branch}))
    assert "abababababab" in text
    assert "it changes what its event doesn't" in text


def test_day_is_told_when_it_is_another(example_story: Story) -> None:
    example_story.wait(days(1)).beat("session-001", "Building")
    text = board.render(example_story.state)
    assert "(Started: 2025-11-15 10:00 UTC)" in text
    assert "- **session-002**, last heard 2025-11-15 10:05 UTC" in text


def test_board_of_nothing_is_a_board() -> None:
    text = board.render(State())
    assert "**Active Sessions:** 0" in text
    assert text.count("- none") >= 4


# --- the same everywhere -----------------------------------------------------------------------------------------------


def test_same_state_gives_the_same_bytes_whatever_the_clock(example_story: Story) -> None:
    with freezegun.freeze_time("2001-01-01T00:00:00Z"):
        first = board.render(example_story.state)
    with freezegun.freeze_time("2089-06-01T12:34:56Z"):
        second = board.render(example_story.state)
    assert first == second == board.render(example_story.state)


def test_order_in_which_records_were_read_makes_no_difference() -> None:
    story = Story.of(*(f"s{number}" for number in range(6)))
    for number in range(6):
        story.claim(f"s{number}", f"droplet:d{number}", f"droplet:e{number}")
        story.claim(f"s{number}", "droplet:shared", mode="shared")
        story.release(f"s{number}", f"droplet:e{number}", next_phase="P", done="x")
        story.send(f"s{number}", "broadcast", "x")
        story.beat(f"s{number}", "blocked", blocked_by="x", files_touched=("a", "b"))
    story.end("s4")
    story.end("s5")
    tables = {name: getattr(story.state, name) for name in TABLES}
    turned: dict[str, Any] = {name: type(table)(dict(reversed(table.items()))) for name, table in tables.items()}
    assert board.render(State(**{**story.state.__dict__, **turned})) == board.render(story.state)


# --- bounded -----------------------------------------------------------------------------------------------------------


def test_board_of_five_thousand_sessions_stays_small() -> None:
    text = board.render(crowd(5000, "implementing the landing page"))
    assert len(text.encode()) < 64 * 1024
    assert "**Active Sessions:** 5000" in text
    for what in ("sessions", "claims", "messages", "offers"):
        assert re.search(rf"… and \d+ more {what}", text), what


@pytest.mark.parametrize("char", ["x", "&", "\U0001f642", "\x9b", "@a ", "*", "https:"], ids=ascii)
def test_board_stays_small_whatever_the_longest_texts_are(char: str) -> None:
    text = board.render(crowd(200, (char * 500)[:500]))
    assert len(text.encode()) < 64 * 1024


def test_short_board_leaves_nothing_out() -> None:
    assert "more " not in board.render(crowd(8, "x"))


# --- inert -------------------------------------------------------------------------------------------------------------

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = [
    "# heading", "## heading", "heading\n=====", "heading\n---", "---", "***", "- item", "+ item", "1. item", "- [ ] task",
    "> quote",
    "    code", "```\ncode", "~~~", "`code`", "*em*", "**strong**", "_em_", "__strong__", "~~gone~~", "| a | b |\n|---|---|",
    "[a](javascript:x)",
    "[a]: http://evil.example", "[a][b]", "![x](http://evil.example/?q=)", "<http://evil.example>", "<script>alert(1)</script>",
    "<img src=x onerror=y>", "<!-- hidden -->", "<a href=x>", "</details>", "&lt;script&gt;", "&#60;b&#62;", "&amp;", "&", "\\",
    "\\\\", "\\*",
    "$x$", "$$x$$", "[^1]", ":smile:", "line\nbreak", "line  \nbreak", "two\n\nparagraphs", "\t\ttabs", "\u202eevil", "\x1b[2J",
    "a\u2028b", "#1", "!1", "Fixes #1", "^x", "{{x}}", "{% x %}", "<!channel>",
]  # fmt: skip

LINKS = [
    "http://evil.example", "https://evil.example", "HTTPS://EVIL.EXAMPLE", "www.evil.example", "ftp://evil.example",
    "_https://evil.example",
    "(https://evil.example)", "*www.evil.example", "_www.evil.example", "~http://evil.example", "xhttps://evil.example",
    "mailto:a@evil.example",
    "a@evil.example", "a_b@evil.example", "a@_evil.example", "smb://evil.example/x", "irc://evil.example", "ssh://evil.example",
    "file:///etc/passwd",
    "javascript://x", "xmpp:a@evil.example/b", "\uff48ttps://evil.example", "https\u200b://evil.example",
]  # fmt: skip

MENTIONS = [
    "@everyone",
    "@team",
    "@_team",
    "@-team",
    "@org/team",
    "(@team)",
    "x@team",
    "@@team",
    "*@team*",
    "@ team",
    "\uff20team",
    "<@U123>",
]


def everywhere(line: str) -> State:
    """A board's state with that line in every place that a session can write to."""
    state = crowd(1, line)
    session = Session(session_id="zoe", start_seq=9, started_at=T0, last_heartbeat=T0, current_work=line)  # no heartbeat of its own
    beat = Heartbeat(session_id="zoe", timestamp=T0, action=line, target=line, files_touched=(line,), next_action=line)
    other = Heartbeat(
        session_id="session-00000", timestamp=T0, action=line, blocked_by=line, files_touched=(line,), next_action=line
    )
    return State(**{
        **state.__dict__,
        "sessions": state.sessions.with_changes({"zoe": session}),
        "heartbeats": state.heartbeats.with_changes({"zoe": beat, "session-00000": other}),
    })  # fmt: skip


def shape(text: str) -> list[object]:
    """What a Markdown reader makes of it, the words left out."""
    found: list[object] = []

    def look(tokens: list[Token], depth: int) -> None:
        for token in tokens:
            if token.type in {"text", "softbreak"} and found and found[-1] == ("text", depth):
                continue
            found.append(("text" if token.type in {"text", "softbreak"} else token.type, depth))
            look(token.children or [], depth + 1)

    look(PARSER.parse(text), 0)
    return found


def words(text: str) -> str:
    """What a Markdown reader shows of it."""
    return "\n".join(
        "".join(child.content for child in token.children or []) for token in PARSER.parse(text) if token.type == "inline"
    )


PLAIN = shape(board.render(everywhere("plain words")))


@pytest.mark.parametrize("text", [*HOSTILE, *LINKS, *MENTIONS], ids=ascii)
def test_hostile_text_changes_no_structure(text: str) -> None:
    for line in (text, f"{text} x", f"x {text}", f"x{text}x"):
        rendered = board.render(everywhere(line))
        assert shape(rendered) == PLAIN
        assert not UNSAFE.search(rendered.replace("\n", "").replace("\u2060", ""))
        assert "<" not in rendered


@many
@given(
    st.lists(st.sampled_from([*HOSTILE, *LINKS, *MENTIONS, *"#*_[]()!<>&|`~\\@:/ \n-+=.1"]), min_size=1, max_size=8).map("".join)
    | lines
)
@example("- \\")
def test_no_text_changes_the_structure(text: str) -> None:
    rendered = board.render(everywhere(f"{text}x"))
    assert shape(rendered) == PLAIN
    assert "<" not in rendered
    assert not UNSAFE.search(rendered.replace("\n", "").replace("\u2060", ""))


@pytest.mark.parametrize("text", LINKS, ids=ascii)
def test_no_text_becomes_a_link_by_itself(text: str) -> None:
    """Hosts make links of bare addresses, after the Markdown is read: what is shown must not look like one."""
    for line in (text, f"x {text}", f"_{text}", f"({text})"):
        shown = words(board.render(everywhere(line)))
        assert not re.search(r"(?i)\w://", shown)
        assert not re.search(r"(?i)www\.\w", shown)
        assert not re.search(r"(?i)\b(mailto|xmpp):\w", shown)
        assert not re.search(r"[\w.+-]@[\w-]", shown)


@pytest.mark.parametrize("text", [*MENTIONS, *LINKS], ids=ascii)
def test_no_text_becomes_a_mention(text: str) -> None:
    for line in (text, f"x {text}", f"_{text}", f"({text})"):
        rendered = board.render(everywhere(line))
        assert not re.search(r"@[\w-]", words(rendered))
        assert not re.search(r"@[\w-]", rendered)


def test_plain_words_stand_as_they_are() -> None:
    assert board.inert("implementing the landing page, 30% (caf\u00e9)") == "implementing the landing page, 30% \\(caf\u00e9\\)"
    assert words(board.inert("a*b_c[d](e)<f>&g#h`i`")) == "a*b_c[d](e)<f>&g#h`i`"


@given(lines)
def test_inert_text_shows_what_was_written(text: str) -> None:
    shown = words(f"x {board.inert(text, 10_000)}").replace("\u2060", "")
    written = " ".join(f"x {text}".split())
    assert shown == board.show(written, 10_000).strip()


# --- dates near the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [T0.replace(year=2000, month=1, day=2), T0.replace(year=2149, month=12, day=30)])
def test_board_of_any_date_that_a_record_can_hold(at: datetime) -> None:
    story = Story.of("ann", "bob", now=at - days(1))
    story.claim("ann", "a")
    story.wait(days(1))
    story.beat("ann", "building", estimated_completion=at)
    assert "### ann" in board.render(story.state)

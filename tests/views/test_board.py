"""The board: everything of the protocol's example, bounded, the same bytes everywhere, and nothing in it that acts."""

from __future__ import annotations

import locale
import re
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import freezegun
import pytest
from crowds import crowd
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from plans import PlanStory
from pure_branch import T0, Story, days, hours, minutes
from strategies import UNSAFE, lines, many

from gitcoord.core.branch import setting_value, with_setting
from gitcoord.core.names import show
from gitcoord.core.records import Heartbeat, Ignored, Session, SharedSettings
from gitcoord.core.state import TABLES, State
from gitcoord.errors import BadInput
from gitcoord.views import board
from gitcoord.views.inert import inert

SECTIONS = ["⚠️ Coordination Needed", "🟢 Active Sessions", "🔒 Active Claims", "📬 Recent Messages (Last Hour)"]


def section(text: str, title: str) -> str:
    """What stands below a heading of the board."""
    return re.split(rf"(?m)^## {re.escape(title)}.*\n", text)[1].partition("\n## ")[0]


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


def rows(text: str, title: str) -> list[list[str]]:
    """The cells of a section's table, its header left out."""
    lines = section(text, title).splitlines()
    return [line.strip(" |").split(" | ") for line in lines if line.startswith("| ")][2:]


def test_board_has_the_sections_of_the_example_and_the_sums_first(example_story: Story) -> None:
    text = board.render(example_story.state)
    assert text.startswith("# Multi-Session Status Board\n\n**Active Sessions:** 3 (3 working) · **Claims:** 3 · ")
    assert [title for title in SECTIONS if f"\n## {title}\n" in text] == SECTIONS
    assert "**Last Updated:** 2025-11-15 10:05 UTC (event " in text
    assert text.endswith("\n")


def test_board_shows_of_each_session_what_the_example_shows(example_story: Story) -> None:
    text = board.render(example_story.state)
    found = {row[0]: row for row in rows(text, "🟢 Active Sessions")}
    assert list(found) == ["session-002", "session-001", "session-003"]
    name, state, work, _, holds, heard = found["session-001"]
    assert (name, state, holds, heard) == ("session-001", "working", "droplet:church-guidance-ministry", "10:03")
    for part in (
        "Building: church-guidance-ministry droplet", "BUILD - implementing landing page", "30%", "next: Implement intake form",
        "ready 12:00",
    ):  # fmt: skip
        assert part in work, part
    assert " ago" not in text


def test_board_shows_claims_with_holder_expiry_and_fence(example_story: Story) -> None:
    lease = example_story.lease("droplet:church-guidance-ministry")
    assert lease is not None
    found = rows(board.render(example_story.state), "🔒 Active Claims")
    assert ["droplet:church-guidance-ministry", "session-001", "14:00", str(lease.fence), "BUILD"] in found
    assert ["droplet:dashboard", "session-002", "10:35"] in [row[:3] for row in found]
    assert len(found) == 3


def test_claim_that_others_wait_for_comes_first(example_story: Story) -> None:
    example_story.claim("session-003", "droplet:church-guidance-ministry", wait=True)
    text = board.render(example_story.state)
    first = rows(text, "🔒 Active Claims")[0]
    assert first[0] == "droplet:church-guidance-ministry"
    assert "**1 in line**" in first[-1]
    assert "**Waiting In Line:** 1" in text
    assert "session-003 waits for droplet:church-guidance-ministry, held by session-001" in section(text, SECTIONS[0])
    assert "(since 10:05)" in section(text, SECTIONS[0])


def test_what_is_over_or_silent_is_not_said_to_be_active(example_story: Story) -> None:
    example_story.wait(minutes(30)).beat("session-001", "Building")
    text = board.render(example_story.state)
    assert "droplet:dashboard" not in text
    states = {row[0]: row[1] for row in rows(text, "🟢 Active Sessions")}
    assert states == {"session-001": "working", "session-002": "quiet", "session-003": "quiet"}
    assert "**Active Sessions:** 3 (1 working, 2 quiet)" in text


def test_board_shows_the_messages_of_the_last_hour_newest_first(example_story: Story) -> None:
    text = section(board.render(example_story.state), "📬 Recent Messages (Last Hour)")
    assert re.findall(r"(?m)^- \*\*(\d\d:\d\d)\*\* (\S+) → (\S+): ", text) == [
        ("10:03", "session-002", "all"), ("10:01", "session-001", "all"), ("10:00", "session-003", "session-001"),
    ]  # fmt: skip
    example_story.wait(minutes(57)).beat("session-001", "Building")
    text = section(board.render(example_story.state), "📬 Recent Messages (Last Hour)")
    assert text.count("- **") == 1


def test_message_under_a_callers_own_id_is_shown_too(example_story: Story) -> None:
    for op in ("deploy-42", "0000000000-deploy-finished-2025", "00a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3"):
        example_story.send("session-001", "broadcast", f"from {op[:4]}", op=op)
    text = section(board.render(example_story.state), "📬 Recent Messages (Last Hour)")
    assert text.count("all: from ") == 3


def test_notice_with_an_end_stands_before_the_messages(example_story: Story) -> None:
    example_story.send("session-001", "broadcast", "no deploys today", type="notice", expires_at=T0 + hours(5))
    example_story.wait(hours(2)).beat("session-001", "Building")
    text = section(board.render(example_story.state), "📬 Recent Messages (Last Hour)")
    assert text.startswith("- 📌 until 15:00 **10:05** session-001 → all: no deploys today")


def test_board_names_what_needs_somebody_and_says_when_nothing_does(example_story: Story) -> None:
    assert section(board.render(example_story.state), SECTIONS[0]).strip() == "- none"
    example_story.beat("session-003", "blocked", blocked_by="the deploy key")
    text = board.render(example_story.state)
    assert "- **blocked:** session-003 is blocked by the deploy key" in section(text, SECTIONS[0])
    row = next(row for row in rows(text, "🟢 Active Sessions") if row[0] == "session-003")
    assert row[1] == "blocked"
    assert "blocked by the deploy key" in row[2]


def test_board_shows_who_waits_for_whom(example_story: Story) -> None:
    example_story.beat("session-003", "waiting", target="person")
    text = board.render(example_story.state)
    assert "| session-003 | waiting for person |" in text
    assert "- **waits for you:** session-003 waits for a person" in section(text, SECTIONS[0])


def test_board_shows_work_that_is_ready_and_sessions_that_ended(example_story: Story) -> None:
    example_story.release("session-002", "droplet:dashboard", next_phase="PRODUCTION", tests="pass")
    example_story.end("session-003", done=("the strategy",))
    text = board.render(example_story.state)
    ready = section(text, "📦 Ready To Pick Up")
    assert "**droplet:dashboard** for PRODUCTION" in ready
    assert "session-002" in ready
    assert "tests pass" in ready
    assert "- **session-003** at 10:05 after 5 minutes: the strategy" in section(text, "🏁 Ended Today")
    assert "| session-003 |" not in text


def test_board_shows_tasks_that_are_ready_and_what_a_claimed_one_is_about(example_story: Story) -> None:
    story = PlanStory(**example_story.__dict__)
    for title in ("the intake form", "the footer"):
        story.add("session-001", title)
    story.claim("session-002", "task:1")
    text = board.render(story.state)
    assert section(text, "📦 Ready To Pick Up").strip() == "- **\\#2** the footer"
    assert ["task:1", "session-002", "the intake form"] in [[*row[:2], row[-1]] for row in rows(text, "🔒 Active Claims")]
    assert "**Tasks:** 0 of 2 done, 1 in work, 1 ready, 0 blocked" in text


def test_board_names_ignored_commits(example_story: Story) -> None:
    assert "Ignored" not in board.render(example_story.state)
    assert example_story.state.branch is not None
    ignored = (Ignored(commit="ab" * 20, reason="it changes what its event doesn't", seq=7),)
    branch = example_story.state.branch.model_copy(update={"ignored": ignored})
    text = board.render(State(**{**example_story.state.__dict__, "branch": branch}))
    assert "abababababab" in text
    assert "it changes what its event doesn't" in text


def test_board_links_branches_where_the_branch_itself_names_a_known_host(example_story: Story) -> None:
    example_story.start("linked", branch="feature/(x)_y")
    assert "](http" not in board.render(example_story.state)
    example_story.setting("session-001", "web", setting_value("web", "git@github.com:acme/app.git"))
    text = board.render(example_story.state)
    assert r"[feature/\(x\)\_y](https://github.com/acme/app/tree/feature/%28x%29_y)" in text
    assert text.count("](http") == 1
    example_story.setting("session-001", "web", "none")
    assert "](http" not in board.render(example_story.state)


@pytest.mark.parametrize(
    "typed", ["evil.example/a/b", "github.com/a", "https://github.com/a/b?x", "github.com/a/b)c", "github.com/../b"]
)
def test_links_lead_to_known_hosts_only(typed: str) -> None:
    with pytest.raises(BadInput, match="web is a repository's page"):
        setting_value("web", typed)
    assert with_setting(SharedSettings(), "web", typed) is None


def test_board_shows_what_a_hook_told_last(example_story: Story) -> None:
    example_story.beat("session-003", "committed", target="Greet the world", folded=1)
    example_story.beat("session-001", "committed", target="Landing page", folded=1)
    work = {row[0]: row[2] for row in rows(board.render(example_story.state), "🟢 Active Sessions")}
    assert work["session-003"] == "committed: Greet the world"
    assert work["session-001"].startswith("church-guidance-ministry droplet, committed: Landing page, BUILD - ")


def test_day_is_told_when_it_is_another(example_story: Story) -> None:
    example_story.wait(days(1)).beat("session-001", "Building")
    heard = {row[0]: row[-1] for row in rows(board.render(example_story.state), "🟢 Active Sessions")}
    assert heard == {"session-001": "10:05", "session-002": "2025-11-15 10:05", "session-003": "2025-11-15 10:00"}


def test_board_of_nothing_is_a_board() -> None:
    text = board.render(State())
    assert "**Active Sessions:** 0" in text
    assert text.count("- none") == 4


# --- how little of it changes --------------------------------------------------------------------------------------------


def test_a_heartbeat_changes_two_lines_and_no_size(example_story: Story) -> None:
    before = board.render(example_story.state)
    after = board.render(example_story.wait(minutes(1)).beat("session-001") and example_story.state)
    changed = [old for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [line.partition(" ")[0] for line in changed] == ["**Last", "|"]
    assert len(before.encode()) == len(after.encode())


# --- the same everywhere -----------------------------------------------------------------------------------------------


def test_same_state_gives_the_same_bytes_whatever_the_clock(example_story: Story) -> None:
    with freezegun.freeze_time("2001-01-01T00:00:00Z"):
        first = board.render(example_story.state)
    with freezegun.freeze_time("2089-06-01T12:34:56Z"):
        second = board.render(example_story.state)
    assert first == second == board.render(example_story.state)


@pytest.mark.parametrize(
    ("zone", "language"), [("Pacific/Kiritimati", "tr_TR.UTF-8"), ("America/St_Johns", "C"), ("Asia/Kathmandu", "de_DE.UTF-8")]
)
def test_same_state_gives_the_same_bytes_in_any_time_zone_and_language(
    example_story: Story, zone: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    example_story.wait(days(1)).beat("session-001", "Building")  # times of another day are spelled with it
    expected = board.render(example_story.state)
    inert.cache_clear()
    with monkeypatch.context() as there:
        there.setenv("TZ", zone)
        there.setenv("LC_ALL", language)
        time.tzset()
        with suppress(locale.Error):  # not every machine has it
            locale.setlocale(locale.LC_ALL, "")
        try:
            assert board.render(example_story.state) == expected
        finally:
            locale.setlocale(locale.LC_ALL, "C.UTF-8")
    time.tzset()


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


@pytest.mark.parametrize("count", [30, 5000])
def test_board_of_many_sessions_has_sixty_lines_and_says_what_it_leaves_out(count: int) -> None:
    text = board.render(crowd(count, "implementing the landing page"))
    assert text.count("\n") <= 60
    assert len(text.encode()) < 64 * 1024
    assert f"**Active Sessions:** {count}" in text
    assert re.search(rf"\n## {SECTIONS[2]}: \d+ of {count}\n", text)
    assert re.search(r"\n- … and \d+ more: .*questions", text)
    assert len(section(text, SECTIONS[0]).strip().splitlines()) <= 10


@pytest.mark.parametrize("count", [30, 5000])
def test_a_session_without_a_row_stands_in_a_line_or_is_counted(count: int) -> None:
    text = board.render(crowd(count, "implementing the landing page"))
    lines = [line for line in section(text, TITLE).splitlines() if line.startswith("- ")]
    brief = sum(line.count("**session-") for line in lines)
    placed = len(rows(text, TITLE)) + brief
    if count == 30:
        assert placed == 30, "each has a row, or its state and work in a line"
        assert f"\n## {TITLE}\n" in text
    else:
        assert f"\n## {TITLE}: {placed} of {count}\n" in text
        assert lines[-1].startswith(f"- … and {count - placed} more: ")
    assert brief
    assert all("working" in line or "blocked" in line or "waiting" in line or "quiet" in line for line in lines if "**" in line)


TITLE = "🟢 Active Sessions"


def test_a_time_around_midnight_needs_no_date() -> None:
    story = Story.of("ann", now=T0.replace(hour=23, minute=40))
    story.claim("ann", "src/api.py", ttl_seconds=3600)
    story.claim("ann", "src/late.py", ttl_seconds=20 * 3600)
    ends = dict(re.findall(r"\| file:(\S+) \| ann \| ([^|]+) \|", board.render(story.state)))
    assert ends == {"src/api.py": "00:40", "src/late.py": "2025-11-16 19:40"}


def test_a_reason_that_is_the_tasks_title_is_said_once() -> None:
    story = PlanStory.of("ann")
    story.add("ann", "Dark theme")
    story.next("ann")
    claims = section(board.render(story.state), "🔒 Active Claims")
    assert claims.count("Dark theme") == 1


def test_thirty_sessions_and_little_else_all_have_a_row() -> None:
    story = Story.of(*(f"s{number}" for number in range(30)))
    text = board.render(story.state)
    assert len(rows(text, TITLE)) == 30
    assert text.count("\n") <= 60


@pytest.mark.parametrize("char", ["x", "&", "\U0001f642", "\x9b", "@a ", "*", "https:", "|"], ids=ascii)
def test_board_stays_small_whatever_the_longest_texts_are(char: str) -> None:
    text = board.render(crowd(200, (char * 500)[:500]))
    assert len(text.encode()) < 64 * 1024


def test_short_board_leaves_nothing_out() -> None:
    text = board.render(crowd(3, "x"))
    assert "more " not in text
    assert " of 3" not in text


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
    session = Session(
        session_id="www.zoe.example", start_seq=9, started_at=T0, last_heartbeat=T0, current_work=line
    )  # no heartbeat of its own
    beat = Heartbeat(session_id="www.zoe.example", timestamp=T0, action=line, target=line, files_touched=(line,), next_action=line)
    other = Heartbeat(
        session_id="session-00000", timestamp=T0, action=line, blocked_by=line, files_touched=(line,), next_action=line
    )
    return State(**{
        **state.__dict__,
        "sessions": state.sessions.with_changes({"www.zoe.example": session}),
        "heartbeats": state.heartbeats.with_changes({"www.zoe.example": beat, "session-00000": other}),
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
    assert inert("implementing the landing page, 30% (caf\u00e9)") == "implementing the landing page, 30% \\(caf\u00e9\\)"
    assert words(inert("a*b_c[d](e)<f>&g#h`i`")) == "a*b_c[d](e)<f>&g#h`i`"


@given(lines)
def test_inert_text_shows_what_was_written(text: str) -> None:
    shown = words(f"x {inert(text, 10_000)}").replace("\u2060", "")
    written = " ".join(f"x {text}".split())
    assert shown == show(written, 10_000).strip()


# --- dates near the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [T0.replace(year=2000, month=1, day=2), T0.replace(year=2149, month=12, day=30)])
def test_board_of_any_date_that_a_record_can_hold(at: datetime) -> None:
    story = Story.of("ann", "bob", now=at - days(1))
    story.claim("ann", "a")
    story.wait(days(1))
    story.beat("ann", "building", estimated_completion=at)
    assert "| ann |" in board.render(story.state)


def test_a_session_that_stands_in_line_is_waiting() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "src/api.py")
    story.claim("bob", "src/api.py", wait=True)
    story.beat("bob", "reading", target="src/db.py")
    text = board.render(story.state)
    assert "2 (1 working, 1 waiting)" in text
    assert re.search(r"^\| bob \| waiting", text, re.MULTILINE)

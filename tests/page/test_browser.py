"""The page in a real browser: what it shows of any moment, that it can be read and used by everybody, and that texts stay texts."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from clones import Seat
from hostile import TEXTS, hostile_story
from plans import PlanStory
from pure_branch import Story
from workdays import picture_of, workday

from gitcoord.core import leases, rules
from gitcoord.core.readiness import overview
from gitcoord.core.state import State
from gitcoord.page.assets import assets
from gitcoord.views import page as page_view
from gitcoord.views.attention import attention

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install --group browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}

MOVE = """(seq) => { const slider = document.getElementById('slider');
  slider.value = seq; slider.dispatchEvent(new Event('input')); }"""
SUMS = """Object.fromEntries([...document.querySelectorAll('#sums div')]
  .map((e) => [e.children[0].textContent, e.children[1].textContent]))"""
HOLDERS = "[...document.querySelectorAll('#sessions tbody tr')].map((row) => row.querySelector('strong').textContent)"
LOST = """() => [...document.querySelectorAll('h1, h2:not(.hidden), h3, .sums > * > *, .tag, button, td, .needs li, .board li')]
  .filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map((e) => `${e.className} ${e.textContent.slice(0, 60)}`)"""
TAGS = """[...document.querySelectorAll('script, img, iframe, object, embed, base, meta, style, link, a, form')]
  .map((e) => e.tagName)"""
HANDLERS = "[...document.querySelectorAll('*')].flatMap((e) => [...e.attributes]).filter((a) => /^on/i.test(a.name)).length"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM, args=list(QUIET), env={"PATH": os.environ["PATH"], "HOME": "/tmp"}
        )
        yield started
        started.close()


@dataclass
class Shown:
    """A page that is open, and what a browser complained of or asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def go(self, seq: int) -> None:
        """Move the slider to the moment after that event."""
        self.page.evaluate(
            "(seq) => { const s = document.getElementById('slider'); s.value = seq; s.dispatchEvent(new Event('input')); }", seq
        )
        self.page.wait_for_function(
            "(seq) => new RegExp(`event ${seq}$`).test(document.getElementById('moment').textContent.replaceAll(',', ''))", arg=seq
        )

    def sums(self) -> dict[str, str]:
        """The sums as they are shown."""
        found: dict[str, str] = self.page.evaluate(SUMS)
        return found


def written(story: Story, folder: Path) -> Path:
    """The page of a story, as a file."""
    text, _ = page_view.bounded(
        picture_of(story), assets(), attention(story.state, story.now), title="shop: coordination", version="1"
    )
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens a story's page: `show(story, size="phone", theme="dark")`."""
    contexts = []

    def opened(story: Story, *, size: str = "desktop", theme: str = "light", **given: Any) -> Shown:
        context = browser.new_context(viewport=SIZES[size], color_scheme=theme, locale="en-GB", timezone_id="Asia/Tokyo", **given)
        contexts.append(context)
        shown = Shown(context.new_page())
        shown.page.on("console", lambda message: shown.said.append(message.text))
        shown.page.on("pageerror", lambda error: shown.said.append(str(error)))
        shown.page.on("dialog", lambda dialog: (shown.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        shown.page.on("request", lambda request: shown.asked.append(request.url))
        shown.page.goto(written(story, tmp_path).as_uri())
        shown.page.wait_for_selector("body[data-ready]")
        return shown

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def day() -> PlanStory:
    return workday(8, events=260, seed=5)


@pytest.fixture(scope="module")
def hostile() -> PlanStory:
    return hostile_story()


def states(story: Story) -> dict[int, State]:
    """The state after each event."""
    found, state = {}, State()
    for one in story.past:
        state = rules.evolve(state, one.event, one.committed_at)
        found[state.seq] = state
    return found


def test_any_moment_is_shown_as_it_was(day: PlanStory, show: Any) -> None:
    shown, before = show(day), states(day)
    for seq in (260, 200, 131, 60, 20, 1):
        shown.go(seq)
        state = before[seq]
        every, sums = overview(state, state.at), shown.sums()
        asked = [one for one in state.messages.values() if one.asks]
        assert sums["sessions"] == str(len(list(state.sessions.live()))), seq
        assert sums["claims held"] == str(len(leases.live(state, state.at))), seq
        assert sums["waiting in line"] == str(sum(one.until > state.at for one in state.waiting.values())), seq
        assert sums["unanswered"] == str(len(asked)), seq
        assert sums["foretold conflicts"] == str(len(state.conflicts)), seq
        assert sums["tasks done"] in {f"{every.done}/{every.total}", "0"}, seq
        holders = shown.page.evaluate(HOLDERS)
        assert sorted(holders) == sorted(one.session_id for one in state.sessions.live()), seq
    assert shown.said == []
    assert len(shown.asked) == 1, "the file itself"


def test_times_are_the_readers_own(day: PlanStory, show: Any) -> None:
    shown = show(day)
    shown.go(100)
    when = states(day)[100].at.astimezone(timezone(timedelta(hours=9), "Asia/Tokyo"))
    assert f"{when:%H:%M}, event 100" in shown.page.inner_text("#moment")
    assert "Asia/Tokyo" in shown.page.inner_text("#foot")
    assert when.utcoffset() != UTC.utcoffset(None)


def test_the_keyboard_moves_through_time(day: PlanStory, show: Any) -> None:
    shown = show(day)
    shown.page.focus("#slider")
    shown.page.keyboard.press("ArrowLeft")
    shown.page.wait_for_function("() => document.getElementById('moment').textContent.endsWith('event 259')")
    assert "event 259" in shown.page.get_attribute("#slider", "aria-valuetext")
    shown.page.focus("#now")
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_function("() => document.getElementById('moment').textContent.startsWith('Now')")


def test_search_finds_events_and_leads_to_them(day: PlanStory, show: Any) -> None:
    shown = show(day)
    shown.page.fill("#search", "claim: ada")
    rows = shown.page.locator("#log li")
    assert rows.count() > 0
    assert all("ada" in text and "claim" in text for text in rows.all_inner_texts())
    rows.first.locator("button").click()
    shown.page.wait_for_selector("body.past")


@pytest.mark.parametrize(("size", "theme"), [("desktop", "light"), ("phone", "dark")])
def test_axe_finds_nothing(size: str, theme: str, day: PlanStory, show: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: pip install --group browser")
    shown = show(day, size=size, theme=theme, bypass_csp=True)
    for seq in (260, 120):
        shown.go(seq)
        found = axe.Axe().run(shown.page).response["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_or_wider_than_the_window(size: str, day: PlanStory, hostile: PlanStory, show: Any) -> None:
    for story in (day, PlanStory.of(), hostile):
        shown = show(story, size=size)
        assert shown.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert shown.page.evaluate(LOST) == []


def test_texts_of_sessions_stay_texts(hostile: PlanStory, show: Any) -> None:
    shown = show(hostile)
    own = shown.page.evaluate(TAGS)
    shown.page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    for _ in range(40):
        if not shown.page.is_visible("#more"):
            break
        shown.page.click("#more")
    assert shown.page.title() == "shop: coordination"
    assert shown.page.evaluate(TAGS) == own == [*["META"] * 5, "STYLE", "A", "SCRIPT", "SCRIPT"]
    assert shown.page.evaluate(HANDLERS) == 0
    text = shown.page.evaluate("document.body.textContent")
    assert all(one in text for one in TEXTS if one.startswith(("<", "'", "{{", "${", "javascript:")) and len(one) < 130)
    assert not set("\x1b\u202e\u200b\x00") & set(text)
    assert shown.said == []
    assert len(shown.asked) == 1


def test_a_served_page_follows_the_branch_and_takes_an_answer(pair: tuple[Seat, Seat], browser: Any) -> None:
    ada, ben = pair
    ben.ok("send", "ada", "<b>Which zone?</b>", "--type", "question")
    with ada.start("page", "--serve", "--write", "--json") as child:
        assert child.stdout is not None
        url = json.loads(child.stdout.readline())["url"]
        context = browser.new_context(viewport=SIZES["desktop"], locale="en-GB")
        try:
            page, said = context.new_page(), []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(url)
            page.wait_for_function("() => document.getElementById('state').textContent === 'live'")
            ben.ok("claim", "src/api.py")
            page.wait_for_function("() => document.getElementById('lanes').textContent.includes('src/api.py')")
            page.click("summary:has-text('Which zone?')")
            page.fill("textarea[aria-label='Answer ben']", "UTC, always.")
            page.click("button:has-text('Answer')")
            page.wait_for_function("() => !document.getElementById('threads').textContent.includes('open question')")
            page.click("summary:has-text('Write a message as ada')")
            page.fill("input[aria-label^='To']", "ben")
            page.fill("input[aria-label='Subject']", "pull first")
            page.click("button:has-text('Send')")
            page.wait_for_selector("summary:has-text('pull first')")
            assert said == []
        finally:
            context.close()
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
    assert child.returncode == 0
    assert {one["subject"] for one in ben.ok("inbox")["messages"]} >= {"pull first"}

"""The pictures of docs/gallery.md: three branches, the real program on each, and what a person sees of it.

    pip install --group gallery
    python tests/house/gallery.py                 all pictures anew, into docs/gallery
    python tests/house/gallery.py --to /tmp/look --only board --branch busy --as png

- The branches: one on which nothing has happened yet, a day of 8 sessions, and a day of 30 sessions with 12,000 events. They are
  made by the program's own rules (tests/support), and written to a remote of this machine; the program runs in a clone of it.
- What is printed: `gitcoord status`, `watch` and `timeline` run on a real terminal of 80 and of 120 columns. `pyte` holds what such
  a terminal shows, and Chromium draws it in light and in dark colours. The fonts: DejaVu, and Noto Color Emoji.
- The board: drawn from its Markdown as a git host does. Its chart is drawn where MERMAID_JS names mermaid.min.js.
- The page: opened in Chromium, light, dark, and as wide as a phone.

Nothing here asserts anything. It says which pages are wider than the phone that shows them.
"""

from __future__ import annotations

import argparse
import fcntl
import html
import io
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP), str(TOP / "tests" / "support")]

import pyte  # noqa: E402
from environment import seal  # noqa: E402
from long_branch import Sparing, Writer  # noqa: E402
from markdown_it import MarkdownIt  # noqa: E402
from PIL import Image  # noqa: E402
from plans import PlanStory  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from pure_branch import Story  # noqa: E402
from remotes import create_bare  # noqa: E402
from workdays import workday  # noqa: E402

from gitcoord.core import rules  # noqa: E402
from gitcoord.core.state import State  # noqa: E402

PROGRAM = [sys.executable, "-m", "gitcoord"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
BRANCHES = ("empty", "day", "busy")
SURFACES = ("status", "watch", "timeline", "board", "page")
COLUMNS = (80, 120)
ROWS = {80: 24, 120: 34}  # of the terminal in which `watch` is looked at
MOST = 60  # lines of an answer that are drawn
LONG = 1600  # pixels: what is longer is cut there
SCHEMES = ("light", "dark")
PHONE = 390


# --- the branches ------------------------------------------------------------------------------------------------------


class _BusyStory(Sparing, PlanStory):
    """A story of many events."""


def _story(branch: str) -> Story:
    now = datetime.now(UTC).replace(microsecond=0)
    if branch == "empty":
        return Story.of(now=now)
    story = _day(branch, now)
    return _day(branch, now + (now - story.now))  # a day takes longer or less than planned, and has to end now


def _day(branch: str, until: datetime) -> Story:
    if branch == "day":
        return workday(8, events=330, seed=5, until=until)
    story = workday(30, events=11_990, seed=3, until=until, hours=6, kind=_BusyStory)
    live = {session.session_id for session in story.state.sessions.live()}
    for name in sorted({happened.event.session for happened in story.past} - live - {"gitcoord-init"}):
        story.start(name, work="the landing page", branch=f"{name}/work", agent="codex")
    while story.state.seq < 12_000:
        story.beat(sorted(live)[story.state.seq % len(live)], "building", target="src/web/landing.tsx")
    return story


def _clone(branch: str, folder: Path, env: dict[str, str]) -> Path:
    """Write the branch to a remote; return a clone of it."""
    remote = create_bare(folder / branch / "shop.git", env=env)
    story, state = _story(branch), State()
    writer = Writer(remote, env, boards=False)
    for happened in story.past:
        state = rules.evolve(state, happened.event, happened.committed_at)
        writer.add(cast(Story, SimpleNamespace(past=[happened], state=state)))
    writer.flush(state)
    clone = folder / branch / "shop"
    subprocess.run(["git", "clone", "-q", str(remote), str(clone)], check=True, env=env, capture_output=True)
    subprocess.run([*PROGRAM, "verify"], cwd=clone, check=True, env=env, capture_output=True)
    return clone


# --- a terminal --------------------------------------------------------------------------------------------------------


class _Screen(pyte.Screen):
    """What a terminal shows; faint letters, which pyte doesn't know, are kept as blinking ones."""

    def select_graphic_rendition(self, *attrs: int, **given: Any) -> None:
        mended = [part for attr in attrs or (0,) for part in ((5,) if attr == 2 else (22, 25) if attr == 22 else (attr,))]
        super().select_graphic_rendition(*mended, **given)


@dataclass
class _Terminal:
    """A program on a terminal of that size."""

    columns: int
    rows: int
    command: list[str]
    folder: Path
    env: dict[str, str]

    def __post_init__(self) -> None:
        self.screen = _Screen(self.columns, self.rows)
        self._stream = pyte.ByteStream(self.screen)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        # fmt: off
        self.child = subprocess.Popen(
            self.command, cwd=self.folder, env={**self.env, "TERM": "xterm-256color"},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )
        # fmt: on
        os.close(theirs)
        self._ours = ours

    def until(self, shown: Callable[[str], bool], seconds: float = 180) -> None:
        """Read what the program writes until the screen shows that, or the program ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not shown("\n".join(self.screen.display)):
            if not self._read():
                return

    def press(self, keys: str) -> None:
        """Press those keys, and read until the screen is still for half a second."""
        os.write(self._ours, keys.encode())
        end = time.monotonic() + 30
        while time.monotonic() < end and select.select([self._ours], [], [], 0.5)[0]:
            if not self._read():
                return

    def _read(self) -> bool:
        with suppress(OSError):  # on Linux the end of the program is an error
            data = os.read(self._ours, 65536)
            self._stream.feed(data)
            return bool(data)
        return False

    def leave(self) -> None:
        """End the program."""
        if self.child.poll() is None:
            self.child.terminate()
        self.child.wait()
        os.close(self._ours)


_INKS = {
    "light": {
        "back": "#ffffff", "fore": "#24292f", "red": "#cf222e", "green": "#116329", "brown": "#7d4e00", "blue": "#0969da",
        "magenta": "#8250df", "cyan": "#0f6b72", "white": "#57606a", "black": "#24292f",
    },
    "dark": {
        "back": "#0d1117", "fore": "#d1d7e0", "red": "#ff7b72", "green": "#3fb950", "brown": "#d29922", "blue": "#58a6ff",
        "magenta": "#bc8cff", "cyan": "#39c5cf", "white": "#d1d7e0", "black": "#484f58",
    },
}  # fmt: skip


def _cells(screen: pyte.Screen, scheme: str, rows: int) -> str:
    """Return the screen as HTML: each run of like cells in its colours."""
    inks, lines = _INKS[scheme], []
    for row in range(rows):
        pieces, run, last = [], "", None
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            fore = inks.get(cell.fg, f"#{cell.fg}" if len(cell.fg) == 6 else inks["fore"])
            back = inks.get(cell.bg, f"#{cell.bg}" if len(cell.bg) == 6 and cell.bg != "default" else "transparent")
            fore, back = (inks["back"], inks["fore"] if fore == inks["back"] else fore) if cell.reverse else (fore, back)
            look = (fore, back, cell.bold, cell.blink, cell.italics, cell.underscore)
            if look != last and run:
                pieces.append(_span(run, cast(Any, last)))
                run = ""
            run, last = run + cell.data, look
        pieces.append(_span(run, cast(Any, last)))
        lines.append("".join(pieces))
    return "\n".join(lines)


def _span(text: str, look: tuple[str, str, bool, bool, bool, bool]) -> str:
    fore, back, bold, faint, italics, underlined = look
    style = f"color:{fore};background:{back}" + (";font-weight:bold" if bold else "") + (";opacity:.62" if faint else "")
    style += (";font-style:italic" if italics else "") + (";text-decoration:underline" if underlined else "")
    return f'<span style="{style}">{html.escape(text)}</span>'


def _terminal_page(typed: str, screen: pyte.Screen, scheme: str, rows: int) -> str:
    inks = _INKS[scheme]
    style = (
        f"body{{margin:0;background:{inks['back']}}} pre{{font:14px/1.3 'DejaVu Sans Mono',monospace;margin:0;padding:10px 12px;"
    )
    style += f"color:{inks['fore']};display:inline-block;width:{screen.columns}ch}}"
    prompt = f'<span style="color:{inks["green"]}">$</span> {typed}\n' if typed else ""
    return f"<meta charset=utf-8><style>{style}</style><pre>{prompt}{_cells(screen, scheme, rows)}</pre>"


# --- a git host's page -------------------------------------------------------------------------------------------------

_HOST = """
body {margin: 0; background: var(--back); color: var(--fore); font: 16px/1.5 'DejaVu Sans', sans-serif; font-size: 14px}
article {padding: 24px 32px; max-width: 948px; margin: auto; overflow-wrap: break-word}
h1 {font-size: 2em; border-bottom: 1px solid var(--line); padding-bottom: .3em; margin: 0 0 16px}
h2 {font-size: 1.5em; border-bottom: 1px solid var(--line); padding-bottom: .3em; margin: 24px 0 16px}
table {border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto; margin-bottom: 16px}
th, td {border: 1px solid var(--line); padding: 6px 13px} tr:nth-child(2n) td {background: var(--soft)}
a {color: var(--link); text-decoration: none} ul {padding-left: 2em} li + li {margin-top: .25em}
code, pre {background: var(--soft); border-radius: 6px; font: 12px/1.45 'DejaVu Sans Mono', monospace} code {padding: .2em .4em}
pre {padding: 16px; overflow: auto} pre code {padding: 0}
@media (max-width: 500px) {article {padding: 16px}}
:root {--back: #fff; --fore: #1f2328; --line: #d1d9e0; --soft: #f6f8fa; --link: #0969da}
@media (prefers-color-scheme: dark) {:root {--back: #0d1117; --fore: #f0f6fc; --line: #3d444d; --soft: #151b23; --link: #4493f8}}
"""


def _board_page(text: str) -> str:
    body = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).render(text)
    script = os.environ.get("MERMAID_JS")
    drawn = ""
    if script and "language-mermaid" in body:
        body = body.replace('<pre><code class="language-mermaid">', '<div class="mermaid">').replace("</code></pre>", "</div>")
        dark = "matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'default'"
        source = Path(script).read_text(encoding="utf-8")
        drawn = f"<script>{source}</script><script>mermaid.initialize({{startOnLoad: true, theme: {dark}}})</script>"
    view = '<meta name="viewport" content="width=device-width">'
    return f"<!doctype html><meta charset=utf-8>{view}<style>{_HOST}</style><article>{body}</article>{drawn}"


# --- the pictures ------------------------------------------------------------------------------------------------------


@dataclass
class _Gallery:
    """Makes the pictures of one branch."""

    branch: str
    clone: Path
    env: dict[str, str]
    browser: Any
    to: Path
    form: str

    def make(self, surface: str) -> None:
        """Make a surface's pictures."""
        for name, write in getattr(self, f"_{surface}")():
            image = Image.open(io.BytesIO(write))
            path = self.to / f"{self.branch}-{surface}-{name}.{self.form}"
            if self.form == "webp":
                _small(image.convert("RGB"), path)
            else:
                image.save(path)
            print(f"{path} {image.width}x{image.height} {path.stat().st_size // 1000} KB", flush=True)

    def _status(self) -> Iterator[tuple[str, bytes]]:
        yield from self._printed("status")

    def _timeline(self) -> Iterator[tuple[str, bytes]]:
        yield from self._printed("timeline", *(("--since", "2h") if self.branch == "busy" else ()))

    def _printed(self, *words: str) -> Iterator[tuple[str, bytes]]:
        """Yield what a command prints, by the width of the terminal and the colours."""
        for columns in COLUMNS:
            terminal = _Terminal(columns, 400, [*PROGRAM, *words], self.clone, self.env)
            terminal.until(lambda _: False)
            terminal.leave()
            used = max((row + 1 for row, line in enumerate(terminal.screen.display) if line.strip()), default=1)
            yield from self._drawn(f"gitcoord {' '.join(words)}", terminal.screen, min(used, MOST), columns)

    def _watch(self) -> Iterator[tuple[str, bytes]]:
        for columns in COLUMNS:
            rows = ROWS[columns]
            terminal = _Terminal(columns, rows, [*PROGRAM, "watch"], self.clone, self.env)
            terminal.until(lambda shown: "sessions" in shown.lower())
            terminal.press("" if self.branch == "empty" or columns == 80 else "\r")
            yield from self._drawn("", terminal.screen, rows, columns)
            terminal.press("q")
            terminal.leave()

    def _drawn(self, typed: str, screen: pyte.Screen, rows: int, columns: int) -> Iterator[tuple[str, bytes]]:
        for scheme in SCHEMES:
            page = self._opened(scheme, columns * 9 + 60)
            page.set_content(_terminal_page(typed, screen, scheme, rows))
            yield f"{columns}-{scheme}", page.locator("pre").screenshot()
            page.context.close()

    def _board(self) -> Iterator[tuple[str, bytes]]:
        answer = subprocess.run([*PROGRAM, "board"], cwd=self.clone, env=self.env, capture_output=True, text=True, check=True)
        yield from self._shots(_board_page(answer.stdout), 1012)

    def _page(self) -> Iterator[tuple[str, bytes]]:
        path = self.clone.parent / "page.html"
        subprocess.run([*PROGRAM, "page", "--output", str(path)], cwd=self.clone, env=self.env, check=True, capture_output=True)
        yield from self._shots(path.read_text(encoding="utf-8"), 1280, ready="body[data-ready]")

    def _shots(self, text: str, width: int, ready: str = "body") -> Iterator[tuple[str, bytes]]:
        """Yield pictures of a page: as wide as a desktop and as a phone, light and dark."""
        path = self.clone.parent / "shown.html"
        path.write_text(text, encoding="utf-8")
        for name, scheme, across in (("light", "light", width), ("dark", "dark", width), ("phone", "dark", PHONE)):
            page = self._opened(scheme, across)
            page.goto(path.as_uri())
            page.wait_for_selector(ready)
            if "mermaid" in text and "<script>" in text:
                with suppress(Exception):
                    page.wait_for_selector(".mermaid svg", timeout=10_000)
            wide, high = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
            if wide > across:
                print(f"note: {self.branch} {name}: {wide} pixels wide, on a screen of {across}")
            clip = {"x": 0, "y": 0, "width": across, "height": min(high, LONG)}
            yield name, page.screenshot(full_page=True, clip=clip)
            page.context.close()

    def _opened(self, scheme: str, width: int) -> Any:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB", timezone_id="UTC"
        )
        return context.new_page()


def _small(image: Image.Image, path: Path) -> None:
    """Write the picture with few colours and no loss, or with loss: whichever is smaller."""
    few = image.quantize(128, dither=Image.Dither.NONE).convert("RGB")
    forms = []
    for given in ({"lossless": True, "quality": 100, "method": 6}, {"quality": 55, "method": 6}):
        data = io.BytesIO()
        (few if "lossless" in given else image).save(data, "webp", **given)
        forms.append(data.getvalue())
    path.write_bytes(min(forms, key=len))


def main() -> None:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=TOP / "docs" / "gallery", help="the folder they go to")
    parser.add_argument("--only", choices=SURFACES, action="append", help="only that surface")
    parser.add_argument("--branch", choices=BRANCHES, action="append", help="only that branch")
    parser.add_argument("--as", dest="form", choices=("webp", "png"), default="webp", help="the pictures' form")
    parser.add_argument("--keep", type=Path, help="a folder for the branches; those that are there are used again")
    chosen = parser.parse_args()
    chosen.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as thrown, sync_playwright() as driver:
        folder = chosen.keep or Path(thrown)
        env = seal(os.environ, folder / "home")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        for branch in chosen.branch or BRANCHES:
            clone = folder / branch / "shop"
            if not clone.exists():
                clone = _clone(branch, folder, env)
            gallery = _Gallery(branch, clone, env, browser, chosen.to, chosen.form)
            for surface in chosen.only or SURFACES:
                gallery.make(surface)
        browser.close()


if __name__ == "__main__":
    main()

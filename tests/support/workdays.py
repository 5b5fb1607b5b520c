"""A working day as a story, by seed: sessions that take tasks, claim files, wait for each other, ask, answer and hand work over."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime, timedelta

from plans import PlanStory
from pure_branch import COMMIT, T0, minutes

from gitcoord.core.foretold import ForetellConflict
from gitcoord.core.requests import AnswerRequest, RequestClaims
from gitcoord.errors import GitcoordError
from gitcoord.views.timeline import Picture, Timeline

NAMES = ("ada", "ben", "cleo", "dan", "eve", "finn", "gus", "hana")
AGENTS = ("claude-code", "codex", "cursor", None)
FILES = (
    "src/api.py", "src/auth/session.py", "src/auth/tokens.py", "src/db/schema.sql", "src/db/migrate.py", "src/web/landing.tsx",
    "src/web/form.tsx", "src/web/theme.css", "src/jobs/mail.py", "docs/api.md", "docs/install.md", "tests/test_api.py",
    "tests/test_auth.py", "deploy/staging.yaml", "src/billing/invoice.py", "src/billing/tax.py", "src/search/index.py",
)  # fmt: skip
WORK = ("the landing page", "sign-in with tokens", "invoices", "the search index", "mail that goes out late", "the install guide")
DOING = ("writing tests for", "reading", "building", "refactoring", "reviewing", "fixing a race in")
ASKS = ("May I have it when you are done?", "Which timezone do invoices use?", "Is the schema final?", "Does the token expire?")
ANSWERS = ("In ten minutes.", "UTC, always.", "Yes, since this morning.", "After an hour; see docs/api.md.")
TASKS = (
    "Sign in with a token", "Sign out everywhere", "Invoices as PDF", "Tax of two countries", "Search by prefix",
    "Search ranks titles",
    "Landing page for phones", "Install guide for Windows", "Mail is retried", "Migration of old accounts", "Rate limit of the API",
    "Dark theme", "Audit log", "Export as CSV", "Webhooks", "Delete an account",
)  # fmt: skip


def workday(
    count: int = 8,
    *,
    events: int = 400,
    seed: int = 1,
    until: datetime = T0,
    hours: float = 9,
    kind: type[PlanStory] = PlanStory,
) -> PlanStory:
    """Return a day with so many sessions and about so many events, which ends at that time."""
    dice = random.Random(seed)
    story = kind.of(now=until - timedelta(hours=hours))
    names = [NAMES[at] if at < len(NAMES) else f"{NAMES[at % len(NAMES)]}-{at // len(NAMES) + 1}" for at in range(count)]
    step = timedelta(hours=hours) / events
    here: list[str] = []
    beyond = int(events * 0.97)
    while story.state.seq < events:
        story.wait(step * dice.uniform(0.4, 1.6))
        if len(here) < count and (len(here) < 2 or dice.random() < 0.15):
            name = names[len(here)]
            here.append(name)
            story.start(
                name, work=dice.choice(WORK), agent=dice.choice(AGENTS), host=dice.choice(("laptop", "box-2", "ci-7")),
                branch=f"{name}/work", capabilities=("python",),
            )  # fmt: skip
            if len(here) == 2:
                for at, title in enumerate((*TASKS, *(f"Tests: {title.lower()}" for title in TASKS))):
                    story.add(here[0], title, needs=(at,) if at % 3 == 2 else ())
            continue
        with suppress(GitcoordError):
            _act(story, dice, dice.choice(here), here, calm=story.state.seq > beyond)
    return story


def _act(story: PlanStory, dice: random.Random, name: str, here: list[str], *, calm: bool) -> None:
    if name not in {one.session_id for one in story.state.sessions.live()}:
        if dice.random() < 0.2 and not calm:
            story.start(name, work=dice.choice(WORK), branch=f"{name}/work", agent=dice.choice(AGENTS))
        return
    other = dice.choice([one for one in here if one != name] or [name])
    held, turn = sorted(story.holds(name)), dice.random()
    files = [one for one in held if one.startswith("file:")]
    tasks = [int(one[5:]) for one in held if one.startswith("task:")]
    if turn < 0.36:
        blocked = dice.choice(("the review of #3", None, None, None, None, None, None, None))
        if held:
            story.renew(name)
        for ticket in [one for one in story.state.waiting.values() if one.session_id == name]:
            story.claim(name, *ticket.resources, ttl_seconds=3600, wait=True)
        story.beat(
            name, dice.choice(DOING), target=dice.choice(FILES), progress=f"{dice.randrange(1, 10) * 10}%", blocked_by=blocked
        )
    elif turn < 0.52:
        story.claim(
            name,
            *dice.sample(FILES, dice.choice((1, 1, 1, 2))),
            phase="BUILD",
            ttl_seconds=dice.choice((1800, 3600, 7200)),
            wait=dice.random() < 0.3,
        )
    elif turn < 0.68 and files:
        last = (
            {"done": dice.choice(("endpoints work", "all tests pass", "first version is in")), "tests": "pass"}
            if dice.random() < 0.6
            else {}
        )
        then = {"next_phase": "REVIEW"} if last and dice.random() < 0.3 else {}
        story.release(name, dice.choice(files), **last, **then)
    elif turn < 0.76 and not tasks:
        story.next(name)
    elif turn < 0.775 and tasks:
        story.close(name, tasks[0], note="done, see the branch")
    elif turn < 0.81:
        story.send(name, other, dice.choice(ASKS), type="question", message="I am at the same place and would rather not guess.")
    elif turn < 0.92:
        asked = [one for one in story.state.messages.values() if one.asks and one.to == name]
        if asked and asked[0].type == "question":
            story.send(name, asked[0].sender, dice.choice(ANSWERS), in_reply_to=asked[0].id, type="answer")
        elif asked:
            story.ask(story.command(AnswerRequest, name, request=asked[0].id, answer=dice.choice(("approve", "deny"))))
    elif turn < 0.94:
        story.send(name, "broadcast", f"{dice.choice(FILES)} has moved, pull before you edit")
    elif turn < 0.96:
        lease = story.lease(dice.choice(FILES))
        if lease is not None and lease.claimed_by != name:
            story.ask(story.command(RequestClaims, name, resource=str(lease.resource), message="A fix waits for it."))
    elif turn < 0.975 and files:
        offer = story.handoff(name, "anyone", done="the first half", next=f"finish {files[0][5:]}")
        story.wait(minutes(4))
        if offer is not None and other != name:
            story.accept(other, offer)
    elif turn < 0.985 and other != name:
        pair = tuple(sorted((name, other)))
        verdict = "none" if "+".join(pair) in story.state.conflicts else dice.choice(("certain", "likely"))
        lines = () if verdict == "none" else (f"{dice.choice(FILES)}:10-20",)
        commits = () if verdict == "none" else (COMMIT, COMMIT[::-1])
        story.ask(story.command(ForetellConflict, name, between=pair, verdict=verdict, commits=commits, lines=lines))
    elif not calm:
        story.end(name, done=(dice.choice(WORK) + " is done",))


def picture_of(story: PlanStory) -> Picture:
    """Return the story as a picture."""
    fold = Timeline()
    for happened in story.past:
        fold.see(happened.event, happened.committed_at)
    return fold.picture(story.now)

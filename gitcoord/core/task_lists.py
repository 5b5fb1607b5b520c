"""Lists of tasks that were written elsewhere: a Markdown checklist, GitHub's issues, an export of beads. Text in, new tasks out.

Each task gets a key, so that reading the same list again adds nothing. A list that can't be read is refused as a whole, with the
line at which it can't.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gitcoord.core import names
from gitcoord.core.task_cards import NEEDED, NewTask
from gitcoord.errors import BadInput

_ITEM = re.compile(r"(?P<indent>[ \t]*)[-*+] \[(?P<mark>.)\](?P<text>.*)")
_AFTER = re.compile(r"\s*\(?\b(?:after|needs)\s*:\s*(?P<names>[^()]*)\)?\s*\Z", re.IGNORECASE)
_FOLLOWING = re.compile(r"\s*(?:after|needs)\s*:\s*(?P<names>.*)", re.IGNORECASE)
_BULLET = re.compile(r"\s*[-*+]\s")
_DONE = frozenset("xX")


@dataclass(frozen=True)
class TaskDraft:
    """A task of a list before its needs are known by key. `body` and `needs` grow with the lines below it."""

    key: str
    title: str
    line: int
    body: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    parent: str | None = None
    found_in: str | None = None
    priority: int = 2
    phases: tuple[str, ...] = ()
    done: bool = False


def read(text: str, source: str, kind: str = "", *, repo: str = "") -> list[NewTask]:
    """Return the tasks of a list, larger tasks and needed ones first where they must be. Done ones are left out.

    - `source`: what the list is called: it is a part of the keys where the list has none.
    - `kind`: `markdown`, `github` or `beads`; "" finds out.
    - `repo`: whose issues they are (`org/shop`), where they don't say it themselves.

    Raises BadInput with the line.
    """
    kind = kind or _kind_of(text)
    drafts = list(_READERS[kind](text, source, repo))
    if not drafts:
        raise BadInput(f"{source} holds no task", hint="a checklist has lines such as: - [ ] write the tests")
    seen: dict[str, int] = {}
    for draft in drafts:
        if draft.key in seen:
            raise _wrong(source, draft.line, f"{names.show(draft.key, 80)} stands in line {seen[draft.key]}, too")
        seen[draft.key] = draft.line
    return _cards(drafts, source)


def _kind_of(text: str) -> str:
    start = text.lstrip("\ufeff \t\r\n")[:1]
    return "github" if start == "[" and not _ITEM.match(text.lstrip("\ufeff\r\n")) else "beads" if start == "{" else "markdown"


def _wrong(source: str, line: int, what: str) -> BadInput:
    return BadInput(f"{names.show(source, 80)}, line {line}: {what}; nothing was added", data={"line": line})


# --- a Markdown checklist ------------------------------------------------------------------------------------------------


def _markdown(text: str, source: str, repo: str) -> Iterator[TaskDraft]:
    """Yield the items: an item that is indented is a part of the one above, `after: NAME, NAME` names what it needs."""
    drafts: list[TaskDraft] = []
    above: list[tuple[int, TaskDraft]] = []
    fenced = False
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        match = None if fenced else _ITEM.fullmatch(line)
        if match is None:
            _below(line, above, fenced)
            continue
        indent = len(match["indent"].expandtabs(4))
        if match["mark"] not in " xX":
            raise _wrong(source, number, f"the box is [ ] or [x], not [{names.show(match['mark'], 4)}]")
        title, needs = _title(match["text"])
        if not title:
            raise _wrong(source, number, "an item without words")
        while above and above[-1][0] >= indent:
            above.pop()
        parent = above[-1][1] if above else None
        key, done = _own_key(source, title, parent, drafts), match["mark"] in _DONE
        draft = TaskDraft(key, title, number, needs=needs, parent=parent.key if parent is not None else None, done=done)
        drafts.append(draft)
        above.append((indent, draft))
    return _resolved(drafts, source)


def _title(text: str) -> tuple[str, list[str]]:
    after = _AFTER.search(text)
    needs = _names(after["names"]) if after else []
    title = names.unblank(text[: after.start()] if after else text).rstrip(" -–—,;:")
    return names.show(title, names.SUBJECT_LIMIT), needs


def _names(text: str) -> list[str]:
    return [name for part in re.split(r"[,;]", text) if (name := names.unblank(part).strip("\"'`."))]


def _below(line: str, above: list[tuple[int, TaskDraft]], fenced: bool) -> None:
    """Adds a line below an item to its text; a line that ends the list ends its items."""
    if not above or not line.strip():
        return
    if not line.startswith((" ", "\t")) and not fenced:
        if not _BULLET.match(line):
            above.clear()
        return
    following = _FOLLOWING.fullmatch(line)
    if following and not fenced:
        above[-1][1].needs.extend(_names(following["names"]))
    else:
        above[-1][1].body.append(line.strip())


def _own_key(source: str, title: str, parent: TaskDraft | None, drafts: list[TaskDraft]) -> str:
    """Return a key of the item's words and those above it. Two items of the same words are told apart by their order."""
    slug = re.sub(r"\W+", "-", title.lower()).strip("-")[:80] or "item"
    key = f"{parent.key}/{slug}" if parent is not None else f"list:{source}#{slug}"
    key = key[:400]
    count = sum(draft.key == key or draft.key.rpartition("~")[0] == key for draft in drafts)
    return f"{key}~{count + 1}" if count else key


def _resolved(drafts: list[TaskDraft], source: str) -> Iterator[TaskDraft]:
    """Yield the items with their needs as keys; an item is named by its words, or by as many of them as no other begins with."""
    by_title: dict[str, list[TaskDraft]] = {}
    for draft in drafts:
        by_title.setdefault(draft.title.lower(), []).append(draft)
    for draft in drafts:
        needs = []
        for name in draft.needs:
            if re.fullmatch(r"#[0-9]+", name):  # a task that is on the branch already
                needs.append(name)
                continue
            exact = by_title.get(name.lower(), [])
            found = exact or [one for title, ones in by_title.items() if title.startswith(name.lower()) for one in ones]
            if len(found) != 1:
                how = "no item is" if not found else f"{len(found)} items are"
                raise _wrong(source, draft.line, f"{how} called {names.show(name, 60)!r}, after which it comes")
            needs.append(found[0].key)
        yield replace(draft, needs=needs)


# --- JSON ----------------------------------------------------------------------------------------------------------------


def _github(text: str, source: str, repo: str) -> Iterator[TaskDraft]:
    """Yield the issues that `gh issue list --json number,title,body,labels` gives."""
    try:
        issues = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _wrong(source, getattr(error, "lineno", 1), f"no JSON: {getattr(error, 'msg', 'too deep')}") from None
    if not isinstance(issues, list):
        raise _wrong(source, 1, "not a list of issues")
    lines = _lines_of(text, issues)
    for number, issue in enumerate(issues):
        line = lines[number]
        if not isinstance(issue, dict) or not isinstance(issue.get("number"), int) or not isinstance(issue.get("title"), str):
            raise _wrong(source, line, "an issue has a number and a title")
        url = str(issue.get("url") or "")
        where = re.search(r"//[^/]+/([^/]+/[^/]+)/issues/", url)
        labels = [str(one.get("name", "")) if isinstance(one, dict) else str(one) for one in _list(issue.get("labels"))]
        closed = str(issue.get("state", "OPEN")).upper() == "CLOSED"
        yield TaskDraft(
            key=f"github:{where[1] if where else repo or source}#{issue['number']}", title=issue["title"], line=line,
            body=[str(issue.get("body") or "")], priority=_priority(labels), done=closed,
        )  # fmt: skip


def _lines_of(text: str, issues: list[Any]) -> list[int]:
    """Return the line at which each element of a JSON list begins."""
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    found = []
    for _ in issues:
        at = len(text) - len(text[at:].lstrip(" \t\r\n,"))
        found.append(text.count("\n", 0, at) + 1)
        _, at = decoder.raw_decode(text, at)
    return found


def _priority(labels: Iterable[str]) -> int:
    """Return the priority that labels such as `P1` or `priority: 1` say; 2 if they say none."""
    for label in labels:
        match = re.search(r"(?:\A|\W)p(?:rio(?:rity)?)?\W{0,2}([0-4])\Z", label.strip().lower())
        if match:
            return int(match[1])
    return 2


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _beads(text: str, source: str, repo: str) -> Iterator[TaskDraft]:
    """Yield the issues of a beads export, one a line. `blocks` is a need, `parent-child` a part, `discovered-from` is where it was
    found.
    """
    for line, row in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not row.strip():
            continue
        try:
            issue = json.loads(row)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _wrong(source, line, f"no JSON: {getattr(error, 'msg', 'too deep')}") from None
        if not isinstance(issue, dict) or not isinstance(issue.get("id"), str) or not isinstance(issue.get("title"), str):
            raise _wrong(source, line, "an issue has an id and a title")
        priority = issue.get("priority", 2)
        if isinstance(priority, bool) or priority not in range(5):
            raise _wrong(source, line, f"a priority is 0 to 4, not {names.show(str(priority), 20)}")
        texts = [issue.get("description"), issue.get("design"), issue.get("acceptance_criteria"), issue.get("notes")]
        links: dict[str, list[str]] = {"blocks": [], "parent-child": [], "discovered-from": []}
        for link in _list(issue.get("dependencies")):
            if not isinstance(link, dict) or not isinstance(link.get("depends_on_id"), str):
                raise _wrong(source, line, "a dependency has a depends_on_id")
            links.setdefault(str(link.get("type", "blocks")), []).append(f"beads:{link['depends_on_id']}")
        yield TaskDraft(
            key=f"beads:{issue['id']}", title=issue["title"], line=line, body=["\n\n".join(str(one) for one in texts if one)],
            needs=links["blocks"], parent=next(iter(links["parent-child"]), None),
            found_in=next(iter(links["discovered-from"]), None), priority=priority,
            done=issue.get("status") in ("closed", "tombstone"),
        )  # fmt: skip


_READERS: Mapping[str, Callable[[str, str, str], Iterator[TaskDraft]]] = {"markdown": _markdown, "github": _github, "beads": _beads}

KINDS = tuple(_READERS)
"""The kinds of lists that are understood."""


# --- in an order in which they can be added -------------------------------------------------------------------------------


def _cards(drafts: list[TaskDraft], source: str) -> list[NewTask]:
    """Return the open ones as new tasks, each behind those that it names. Raises BadInput for a circle, and for too long a text."""
    done = {draft.key for draft in drafts if draft.done}
    waiting = {
        draft.key: replace(
            draft,
            needs=[key for key in dict.fromkeys(draft.needs) if key not in done and key != draft.key],
            parent=draft.parent if draft.parent not in done else None,
            found_in=draft.found_in if draft.found_in not in done else None,
        )
        for draft in drafts
        if not draft.done
    }
    order: dict[str, TaskDraft] = {}
    for start in waiting.values():
        _visit(start, waiting, order, source)
    return [_card(draft, waiting, source) for draft in order.values()]


def _visit(start: TaskDraft, waiting: Mapping[str, TaskDraft], order: dict[str, TaskDraft], source: str) -> None:
    way: list[str] = []
    todo: list[tuple[str, bool]] = [(start.key, False)]
    while todo:
        key, left = todo.pop()
        if left:
            way.pop()
            order[key] = waiting[key]
        elif key in way:
            lines = [waiting[one].line for one in (*way[way.index(key) :], key)]
            raise _wrong(source, waiting[key].line, "items wait for each other: line " + " after line ".join(map(str, lines)))
        elif key not in order and key in waiting:
            way.append(key)
            todo.append((key, True))
            draft = waiting[key]
            others = (draft.parent, *draft.needs)
            todo += [(other, False) for other in reversed(others) if other is not None]


def _card(draft: TaskDraft, waiting: Mapping[str, TaskDraft], source: str) -> NewTask:
    body = "\n".join(line for line in draft.body if line)
    title = names.show(names.unblank(draft.title), names.SUBJECT_LIMIT)
    if not title:
        raise _wrong(source, draft.line, "a task without a title")
    if not names.is_text(body):
        raise _wrong(source, draft.line, "a text of more than 64 KB, or not UTF-8")
    if len(draft.needs) > NEEDED:
        raise _wrong(source, draft.line, f"{len(draft.needs)} needs, at most {NEEDED} are taken")
    if not names.is_line(draft.key):
        raise _wrong(source, draft.line, "an id that is too long, or no line")
    return NewTask(
        title=title, body=body or None, priority=draft.priority, key=draft.key,
        needs=tuple(_named(key) for key in draft.needs), parent=_named(draft.parent) if draft.parent else None,
        found_in=_named(draft.found_in) if draft.found_in else None,
    )  # fmt: skip


def _named(key: str) -> str:
    """Return how a new task names another one: `#42` is on the branch, all else comes along or came before."""
    return key if key.startswith("#") else f"={key}"

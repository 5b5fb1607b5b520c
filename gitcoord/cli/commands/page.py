"""`gitcoord page`: write what happened, and what is, as one HTML file."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from gitcoord import __version__
from gitcoord.cli import files
from gitcoord.cli import output as output_of
from gitcoord.cli.arguments import when
from gitcoord.cli.connect import answer, connection, here_and_root, say
from gitcoord.connection.connect import Connection
from gitcoord.coordinator import past
from gitcoord.errors import BadInput
from gitcoord.machine import files as machine_files
from gitcoord.page.assets import assets
from gitcoord.page.live import Live
from gitcoord.views import as_json
from gitcoord.views import page as page_view

Verdict = Literal["approve", "deny", "share"]


def page(
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it, if not into the clone's own git folder.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="Only what happened since: 2h, yesterday, or a time.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve it on 127.0.0.1; it changes as the branch does.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --serve: on that port; 0 is any that is free.")] = 0,
    write: Annotated[bool, typer.Option("--write", help="With --serve: one can answer and send messages there.")] = False,
) -> None:
    """Write one HTML file with all that happened: lanes, claims, waits, messages, tasks, and any moment of the past."""
    if serve and since is not None:
        raise BadInput("a served page has all that fits, so --since is for a file")
    if write and not serve:
        raise BadInput("a file can't write; --write goes with --serve")
    start = when(since, ahead=False) if since is not None else None
    with connection(shows=not serve) as found:
        if serve:
            _serve(found, port, write=write)
        else:
            write_page(found, output or _kept(found), start)


def _kept(found: Connection) -> Path:
    """Return where a page goes that nobody has named a file for: into our folder in the clone's git folder, for no work tree is
    touched. Raises BadInput.
    """
    folder = machine_files.own(Path(found.repo.common_dir).absolute())
    try:
        return machine_files.private_folder(folder) / "page.html"
    except OSError as error:
        raise BadInput(f"{folder} can't be written: {error.strerror}", hint="gitcoord page --output FILE") from None


def _serve(found: Connection, port: int, *, write: bool) -> None:
    """Serve the page until somebody ends it."""
    try:
        from gitcoord.page import server
    except ImportError as error:
        raise BadInput(f"a served page needs {error.name}", hint="pip install 'gitcoord[page]'") from None
    if write:
        found.coordinator.sessions.ensure()
    me = found.coordinator.branch.acting.session if write else ""
    live = Live(found.coordinator.branch, title(found), __version__, me)
    try:
        door = server.door(port)
    except OSError as error:
        raise BadInput(
            f"port {port} can't be used: {error.strerror}", hint="gitcoord page --serve takes any that is free"
        ) from None
    site = server.Site(live, secrets.token_urlsafe(24), door.getsockname()[1], _written if write else None)
    try:
        live.start()
        answer({"url": site.url, "port": site.port, "session": me or None}, site.url)
        output_of.require()
        say(f"only this machine can open it; whoever has the address can {'read and write' if write else 'read'}. Ctrl-C ends it")
        server.serve(site, door)
    finally:
        live.leave()
        door.close()
    if live.failed is not None:
        raise live.failed


def _written(what: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Carry out what somebody wrote in the page, as the session that serves it."""
    with connection(shows=False) as found:
        coordinator = found.coordinator
        text = fields.get("text", "")
        if what == "send":
            receipt = coordinator.messages.send(
                fields.get("to", ""), fields.get("subject") or None, text or fields.get("subject", "")
            )
        elif what == "reply":
            receipt, _ = coordinator.messages.reply(coordinator.messages.id_of(fields.get("id", ""), any_receiver=True), text)
        elif fields.get("answer") in {"approve", "deny", "share"}:
            verdict = cast(Verdict, fields["answer"])
            receipt, _ = coordinator.claims.respond(coordinator.messages.id_of(fields.get("id", "")), verdict, text)
        else:
            raise BadInput("the answer is approve, deny or share")
        return as_json.receipt(receipt)


def title(found: Connection) -> str:
    """Return what the page is called: by the folder of the repository."""
    name = project(found)
    return f"{name}: coordination" if name != "coordination" else name


def project(found: Connection) -> str:
    """Return the name of the repository's folder."""
    _, root = here_and_root(found)
    return Path(root).name if root else "coordination"


def write_page(found: Connection, output: Path, since: datetime | None) -> None:
    """Write the page to that file, and say so."""
    picture, needs = past.picture(found.coordinator.branch, since=since)
    text, shown = page_view.bounded(picture, assets(), needs, title=title(found), version=__version__)
    size = files.write(output, text)
    record = {"output": str(output), "bytes": size, "events": len(shown.steps), "total": picture.total, "first": shown.first}
    answer(record, f"written: {output} ({size // 1000} KB)")
    if len(shown.steps) < len(picture.steps):
        say(f"note: it has the newest {len(shown.steps)} of {picture.total} events, as many as a page of 500 KB holds")

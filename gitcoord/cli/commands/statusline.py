"""`gitcoord statusline`: show in one line who waits for you, what is unread and what you hold, as last known."""

from __future__ import annotations

import os

import typer

from gitcoord.cli.connect import options
from gitcoord.errors import GitcoordError


def statusline() -> None:
    """Show in one line who waits for you, what is unread and what you hold, as last known. For prompts; asks nobody."""
    if options.glance is None:
        raise GitcoordError("this program was started without its status line", hint="gitcoord status")
    raise typer.Exit(options.glance(os.path.abspath(options.path) if options.path else "", as_json=options.json))

"""The command `mcp`: starts the face that serves coding agents."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from gitcoord.cli import output
from gitcoord.cli.connect import options, say
from gitcoord.core.times import parse_duration
from gitcoord.errors import BadInput, GitcoordError

SHORTEST = 1.0  # seconds
LONGEST = 3600.0  # seconds


def mcp(
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="The longest that a call waits for others; the client's own limit must be longer.")
    ] = "40s",
) -> None:
    """Serve a coding agent over the Model Context Protocol, on standard input and output. Needs gitcoord[mcp]."""
    seconds = parse_duration(timeout).total_seconds()
    if not SHORTEST <= seconds <= LONGEST:
        raise BadInput("--timeout is from 1s to 1h", hint="gitcoord mcp --timeout 40s")
    if options.path and not os.path.isdir(options.path):
        raise BadInput(f"there is no folder {options.path}", hint="gitcoord mcp, in a clone of the repository")
    if options.serve is None:
        raise GitcoordError("this program was started without its server", hint="gitcoord mcp")
    if sys.stdin is None or output.fault():
        raise BadInput("standard input or output is closed, and this speaks by them", hint="gitcoord mcp, started by an agent")
    try:
        code = options.serve(options.path, options.session or None, seconds, say)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "gitcoord":
            raise  # one of our own is missing: that is a bug
        raise GitcoordError(
            f"the server needs the Python SDK of the Model Context Protocol, version 2.3 or newer ({error})",
            hint="pip install 'gitcoord[mcp]'",
        ) from None
    raise typer.Exit(code)

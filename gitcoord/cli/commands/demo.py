"""`gitcoord demo`: see two sessions work together, in throw-away repositories."""

from __future__ import annotations

import os

from gitcoord.cli.connect import answer, looked_at, options, out
from gitcoord.errors import GitcoordError


def demo() -> None:
    """See two sessions work together, in throw-away repositories. Takes seconds; touches nothing of yours."""
    from gitcoord.demo import story

    told = []
    bold, faint, off = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if looked_at() and not os.environ.get("NO_COLOR") else ("", "", "")
    try:
        for kind, text in story(os.environ):
            told.append({"kind": kind, "text": text})
            if not options.json and not options.quiet:
                if kind == "say":
                    print(f"\n{bold}{text}{off}")
                elif kind == "do":
                    print(f"\n{bold}{text}{off}" if "$ " in text else text)
                else:
                    out(f"  {text}")
    except OSError as error:
        raise GitcoordError(f"the demo can't run here: {error}", hint="is there room in the temporary folder?") from error
    answer({"story": told})
    if not options.json:
        print(f"\n{faint}That was a throw-away. In a repository of yours: gitcoord init{off}")

"""Calls of `gitcoord hook` in a form that isn't known: each form is noted once, for `gitcoord doctor` to tell.

Standard library only. Only what names the form is kept, the names of the fields and of the event: never what stands in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitcoord.agents.dialects import fields
from gitcoord.machine import files, whereabouts
from gitcoord.machine.identity import digest

_KEPT = 20  # forms
_NAMES = ("hook_event_name", "hookEventName", "event", "hookName", "type")  # what agents call the name of an event
_FIELDS = 12  # of a form, that are told


def note(payload: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Note that somebody called so."""
    event = next((found for found in (fields.name(payload.get(key)) for key in _NAMES) if found), "")
    form = [event[:40], *sorted(filter(None, (fields.name(key)[:40] for key in payload)))[:_FIELDS]]
    with suppress(OSError):
        folder = files.private_folder(Path(whereabouts.state(environ), "unknown"))
        files.write_json(folder / f"{digest({'form': ' '.join(form)})}.json", form)
        files.keep_newest(folder, _KEPT)


def take(environ: Mapping[str, str]) -> list[list[str]]:
    """Return each form that was noted, its event first and then its fields, and forget it."""
    found = []
    for path in sorted(Path(whereabouts.state(environ), "unknown").glob("*.json")):
        form = files.read(path, files.texts)
        if form:
            found.append(list(form))
        with suppress(OSError):
            path.unlink()
    return found

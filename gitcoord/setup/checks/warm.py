"""Tells whether commands begin in forks of a warm process."""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord.connection.connect import Connection
from gitcoord.setup.checks.finding import Finding
from gitcoord.warm import address, client, confinement


def look(found: Connection) -> Iterator[Finding]:
    """Yield what is to be known of it."""
    environ = found.repo.environ
    if not found.settings.warm or environ.get(address.SWITCH) == "0":
        yield Finding("ok", "no warm process: it is switched off; each command loads the program")
    elif not address.is_possible(environ):
        yield Finding("ok", "no warm process in CI, nor on this system: each command loads the program")
    elif pid := client.find(environ):
        if client.is_served(["gitcoord"], environ):
            yield Finding("ok", f"a warm process (pid {pid}) has the program loaded: commands and hooks begin in forks of it")
        else:
            yield Finding(
                "ok", f"the warm process (pid {pid}) was loaded from an earlier installation: another one takes its place"
            )
    elif confinement.is_loose():
        yield Finding("ok", "no warm process now: gitcoord start, or the second command within two minutes, starts one")
    else:
        yield Finding("ok", "no warm process: this is a sandbox; each command loads the program")

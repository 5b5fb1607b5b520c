"""`gitcoord config`: show or change settings."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated, Any

import typer

from gitcoord.cli.connect import answer, connection, options
from gitcoord.core import branch
from gitcoord.errors import BadInput, mask
from gitcoord.settings import KEYS
from gitcoord.views import as_json
from gitcoord.warm import client as warm


def config(
    key: Annotated[str | None, typer.Argument(help="The setting; none: list them.")] = None,
    value: Annotated[str | None, typer.Argument(help="Its new value; none: show it.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="For all sessions: kept on the branch.")] = False,
) -> None:
    """Show or change settings: this clone's (in git's configuration), or with --shared everybody's."""
    if not shared and key is not None:
        key = key.removeprefix("gitcoord.")
        if key not in KEYS:
            raise BadInput(f"{key!r} is not a setting of a clone", hint=f"one of: {', '.join(KEYS)}; for all: --shared")
        if value is not None:  # asks nothing of the branch: what is set wrong is set right by this
            from gitcoord.setup import init as setup

            setup.set_local(os.path.abspath(options.path or "."), os.environ, key, value)
            if key == "warm":
                warm.end(os.environ)  # the next command that may use one starts another
            answer({"key": key, "value": mask(value)}, f"gitcoord.{key} = {mask(value)} in this clone")
            return
    with connection() as found:
        if shared:
            if key is not None and value is not None:
                receipt = found.coordinator.setup.set_shared(key, value, op=options.op)
                answer({**as_json.receipt(receipt), "key": key, "value": value}, f"{key} = {value} for all")
                return
            key = branch.key_of(key) if key is not None else None
            values = branch.shown(found.coordinator.branch.view().state.rules.settings)
            if key is not None and key not in values:
                if not key.startswith(branch.CAPACITY):
                    raise BadInput(f"{key!r} is not a shared setting", hint=f"one of: {', '.join(values)}")
                values[key] = 0  # nobody said how many places it has
        else:
            values = {name: mask(one) if isinstance(one, str) else one for name, one in asdict(found.settings).items()}
        if key is not None:
            answer({"key": key, "value": values[key]}, _spelled(values[key]))
        else:
            answer({"settings": values}, *(f"{name} = {_spelled(one)}" for name, one in values.items()))


def _spelled(value: Any) -> str:
    """Return the value as it is typed."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Every git that is found on this machine, and how new each is. Those inside of editors and other programs can't be known."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from gitcoord.errors import GitcoordError
from gitcoord.git import environment, process

CONFIG_HOOKS = (2, 54)
"""Since this version git runs hooks from its configuration, beside those of its hooks folder, wherever that lies."""
_SECONDS = 5.0


def versions(environ: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """The git programs on PATH, and that in git's own folder, with their versions; () for one that doesn't say it."""
    env = environment.clean_environment(environ)
    places = [os.path.join(folder, "git") for folder in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    first = process.run([environment.program(), "--exec-path"], env=env, cwd="/", seconds=_SECONDS)
    places.append(os.path.join(os.fsdecode(first.stdout.strip()), "git"))
    found: dict[str, tuple[int, ...]] = {}
    real = set()
    for place in places:
        if os.path.isfile(place) and os.access(place, os.X_OK) and os.path.realpath(place) not in real:
            real.add(os.path.realpath(place))
            found[place] = _version(place, env)
    return found


def have_config_hooks(found: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether each of them runs hooks from the configuration: an older one passes them over without a word."""
    return bool(found) and all(version >= CONFIG_HOOKS for version in found.values())


def _version(place: str, env: Mapping[str, str]) -> tuple[int, ...]:
    try:
        done = process.run([place, "version"], env=env, cwd="/", seconds=_SECONDS)
    except (OSError, GitcoordError):  # a file that can't be run
        return ()
    match = re.match(rb"git version (\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if done.ok and match else ()

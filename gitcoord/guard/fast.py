"""The guard's short way, before every commit: whether it is plain that nothing which is staged is claimed by another.

Any doubt is left to the whole program (`cli.commands.guard`). Decides by the same rule, on the short list that the last guard left,
and loads nothing but the standard library: the start is nearly the whole cost.
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from gitcoord.core.guard import Target, in_the_way
from gitcoord.core.names import file_in
from gitcoord.git import discovery, environment, process
from gitcoord.guard import cache
from gitcoord.machine import files, processes
from gitcoord.machine.identity import seated

_SECONDS = 5.0  # a git call of ours takes 2 ms; after this long something is wrong with the repository


def is_allowed(words: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether nothing more need be asked before the commit."""
    if list(words) != ["--staged"]:
        return False
    # As in any hook: git's own variables say which repository is meant, and from which index it commits.
    meant = {name: environ[name] for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE") if name in environ}
    env = {**environment.clean_environment(environ), **meant}
    asked = _ask(env, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--show-toplevel")
    places = (asked or b"").decode("utf-8", "surrogateescape").split("\n")
    if len(places) != 4:  # the last one is empty
        return False
    git_dir, common, tree = places[:3]
    folder = files.own(os.path.realpath(common))
    seen = cache.read(folder)
    if seen is None or not seen.read_at or os.path.exists(os.path.join(git_dir, "MERGE_HEAD")):
        return False
    if seen.leases:
        staged = _ask(
            env, "diff-index", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=none", "HEAD", "--"
        )  # fmt: skip
        if not staged or not staged.endswith(b"\0"):  # silence is no answer, and a commit of nothing is rare
            return False
        names = unicodedata.normalize("NFC", staged.decode("utf-8", "surrogateescape")).split("\0")
        own = os.path.realpath(git_dir)
        binding = seated(own, discovery.git_dirs(os.path.realpath(common)), environ).sitting(environ)
        targets = [Target(file_in(seen.repo, name)) for name in names if name]
        now = datetime.now(UTC)
        if in_the_way(seen.leases, targets, session=binding.session if binding else "", now=now, grace=seen.grace, fold=seen.fold):
            return False
    cache.renew_text(folder, seen)
    if abs(time.time() - seen.read_at) > cache.STALE_AFTER and cache.take_turn(folder):
        processes.detach(cache.refreshing(tree), {**environ, "GITCOORD_HOOK": "1"})
    return True


def _ask(env: Mapping[str, str], *words: str) -> bytes | None:
    """The output of a git that only reads; None when it fails."""
    done = process.run([environment.program(), *process.ALWAYS, *words], env=env, cwd=os.getcwd(), seconds=_SECONDS)
    return done.stdout if done.ok else None

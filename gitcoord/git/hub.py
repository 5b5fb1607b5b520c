"""A repository of our own beside the user's: where several projects share one branch, its objects and refs lie here.

It is bare, has no remote, and belongs to one outbox. Deleting it costs one fetch.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import replace

from gitcoord.errors import GitcoordError, GitFault, Refused, Unreachable
from gitcoord.git import environment, process
from gitcoord.git.repo import OID, Oid, Repository
from gitcoord.git.urls import unrewritten

CREDENTIALS = ("credential.", "commit.gpgsign", "user.signingkey", "gpg.", "core.sshcommand", "http.")
"""Settings by which a push of one clone may differ from that of another: what each carries with it."""

_DEFAULT = "main"  # the branch of the first commit, where a hub has none: its host takes the first one pushed for the default
_SECONDS = 20.0


def home(repo: Repository, folder: str, url: str) -> Repository:
    """The repository in that folder, for the hub at that URL, made if it isn't there: it finds the hub as this clone would."""
    made = replace(repo, git_dir=folder, common_dir=folder, work_tree="", branch="")
    if os.path.exists(os.path.join(folder, "HEAD")):
        return made
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    aside = tempfile.mkdtemp(prefix=".hub-", dir=os.path.dirname(folder))
    try:
        env = {**environment.clean_environment(repo.environ), "GIT_DIR": aside}
        words = [repo.git, *process.ALWAYS, "init", "--quiet", "--bare", f"--object-format={_hash_of(repo, url)}", "--template="]
        done = process.run(words, env=env, cwd=aside)
        if not done.ok:
            raise GitcoordError(f"git can't make the hub's repository here: {done.words}", hint="gitcoord doctor")
        for key, value in _own_credentials(repo):
            done = process.run([repo.git, *process.ALWAYS, "config", "--add", key, value], env=env, cwd=aside)
            if not done.ok:  # without them it would never be reached
                raise GitFault(f"git can't make the hub's repository here: {done.how}", hint="run the same command again")
        try:
            os.rename(aside, folder)  # whole or not at all: others of this outbox may be making it, too
        except OSError:
            if not os.path.exists(os.path.join(folder, "HEAD")):
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return made


def _hash_of(repo: Repository, url: str) -> str:
    """The hash of the hub: by the names that it lists; that of this clone where it lists none."""
    word, meaning = unrewritten(repo, url)
    done = repo.run("ls-remote", "--", word, seconds=_SECONDS, extra=meaning)
    if not done.ended_itself and done.in_time:
        raise GitFault(f"git can't list what the hub has: {done.how}", hint="run the same command again")
    first = re.match(rb"[0-9a-f]+", done.stdout) if done.ok else None
    return repo.hash_name if first is None else "sha256" if len(first[0]) == 64 else "sha1"


def _own_credentials(repo: Repository) -> list[tuple[str, str]]:
    """What this clone itself (not the user, for all repositories) says about how to reach a remote."""
    entries = repo.ask("config", "--local", "--includes", "-z", "--list").split("\0")
    pairs = (entry.partition("\n") for entry in entries if entry)
    return [(key, value) for key, _, value in pairs if key.startswith(CREDENTIALS)]


def first_commit(hub: Repository, url: str, seconds: float, *, readme: str) -> str:
    """Gives an empty hub a first branch, so that its host won't take ours for the default one: what it is called. Whoever was
    faster is as good. Raises Unreachable, Refused.
    """
    blob = hub.ask("hash-object", "-w", "--stdin", stdin=readme.encode()).strip()
    tree = hub.ask("mktree", stdin=f"100644 blob {blob}\tREADME.md\n".encode()).strip()
    who = {f"GIT_{role}_NAME": "gitcoord" for role in ("AUTHOR", "COMMITTER")}
    who |= {f"GIT_{role}_EMAIL": "gitcoord@localhost" for role in ("AUTHOR", "COMMITTER")}
    made = hub.run("commit-tree", tree, "-m", "A first commit", extra=who)
    commit: Oid = made.stdout.decode("ascii", "replace").strip()
    if not made.ok or not OID.fullmatch(commit):  # an empty name would stand for taking the branch away
        raise GitFault(f"git can't write a first commit: {made.how}", hint="run the same command again")
    ref = f"refs/heads/{_DEFAULT}"
    word, meaning = unrewritten(hub, url)
    words = ("push", "--quiet", "--no-verify", f"--force-with-lease={ref}:", "--", word, f"{commit}:{ref}")
    done = hub.run(*words, seconds=seconds, extra=meaning)
    if not done.ok:
        listed = hub.run("ls-remote", "--exit-code", "--heads", "--", word, seconds=seconds, extra=meaning)
        if not listed.ok and not done.in_time:
            raise Unreachable(f"the hub can't be reached: {done.words or 'no answer'}", hint="try again later")
        if not listed.ok:
            raise Refused(
                f"the hub refuses a first branch: {done.words}", hint="push a first commit to it, then the same command again"
            )
    return _DEFAULT

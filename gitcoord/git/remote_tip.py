"""The branch on a remote, as a compare-and-swap register. It is read where pushes go; only what a read shows decides."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

from gitcoord.errors import Alarm, Damaged, GitFault, Refused, Unknown, Unreachable
from gitcoord.git import hub
from gitcoord.git.process import Finished
from gitcoord.git.repo import NO_LOG, NULL, Oid, Repository, kept_ref, own_ref
from gitcoord.git.tip import AGAIN, AWAY_HINT, TRIES, Swap, drop_own, dropping_own
from gitcoord.git.urls import protocol_of, unrewritten

_ALL = (1 << 31) - 2  # commits deep: one more means to git "the whole repository", and deepens the user's branches too


_WITNESS = 5.0  # seconds that a clock may take to be told; after that nobody tells it


_METHOD = re.compile(r"=> Send header: ([A-Z]+) ")


_DATE = re.compile(r"<= Recv header: date: *(.+?)\s*$", re.IGNORECASE)  # in git's trace of a connection over HTTP


_COMPLETING = 60.0  # seconds for a history that was cut off: it is fetched once, and may be long


_DECLINED = 3  # pushes in a row that a hook refuses, until that is told though the branch has gone on each time


_FAULTS = re.compile(
    r"lock ref|failed to lock|failed to update ref|Unable to create '[^']*\.lock'|File exists|No space left|[Qq]uota exceeded"
    r"|Too many open files|Cannot allocate memory|Resource temporarily unavailable|Input/output error"
)
"""What servers say when something is wrong with them; anything else that they refuse for is their policy."""


_PASSING = re.compile(
    r"returned error: (408|429|5\d\d)|[Cc]ould not resolve|[Cc]onnection (refused|reset|timed out)|[Oo]peration timed out"
    r"|early EOF|[Nn]etwork is unreachable|No route to host|Failed to connect|SSL_ERROR_SYSCALL|Empty reply from server"
)
"""What git says when the way to the remote is broken for now, or its server is: no rule of anybody's."""


_DAMAGE = re.compile(
    r"bad object|the object [0-9a-f]+ does not exist|corrupt"
    r"|missing (blob|tree|commit)|unable to read|could not read [0-9a-f]|cannot read existing|not a valid object"
    r"|did not send all necessary objects|unresolved delta|loose object|bad tree|inflate|packed object|Could not read [0-9a-f]"
)
"""What git says when an object in this clone is in its way."""


class RemoteTip:
    """The branch on a remote, read and written through its push URL. `clock`: tells the time in place of the remote's own."""

    def __init__(
        self,
        repo: Repository,
        remote: str,
        url: str,
        branch: str,
        sleep: Callable[[float], None],
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._repo = repo
        self._clock = clock
        self._remote = remote
        self._full = f"refs/heads/{branch}"
        self._tracking = f"refs/remotes/{remote}/{branch}"
        self._sleep = sleep
        self.url = url
        self._word, self._meaning = unrewritten(repo, url)
        self.where = remote
        self.ref = f"{remote}/{branch}"
        self.found = NULL
        self._declined = 0  # pushes in a row that a hook of the remote refused, while others went on
        self.kept = kept_ref(remote, branch)

    def close(self) -> None:
        """Waits until the refs of this clone stand where they belong."""
        self._repo.settle()

    def forget(self) -> None:
        """Takes the remote-tracking ref away."""
        self._repo.drop_refs([self._tracking])

    def local(self) -> Oid:
        """The tip that the remote-tracking ref shows, if all of its history is here."""
        known = self._tracked()
        return NULL if known and self._repo.is_cut(known) else known

    def _tracked(self) -> Oid:
        return self._repo.oid_of(self._tracking)

    def read(self, seconds: float) -> Oid:
        """Fetches exactly this ref, and follows with the remote-tracking ref. Raises Unreachable; Damaged where the remote answers
        and an object of this clone stays in the way.
        """
        end = monotonic() + seconds
        try:
            return self._read(seconds)
        except Damaged:
            self.mend()
            return self._read(max(2.0, end - monotonic()))

    def _read(self, seconds: float) -> Oid:
        """The same, into a ref of its own: parallel fetches into one ref fail."""
        end = monotonic() + seconds
        mine = own_ref("fetch")
        known = self._tracked()
        words = self._fetching(mine, *([f"--negotiation-tip={known}"] if known else []))
        there: bool | None = None
        for again in (False, True):
            done = self._connect(*words, seconds=max(1.0, end - monotonic()) if again else seconds)
            if done.ok and (tip := self._repo.oid_of(mine)):
                self._follow(known, tip, drop=mine)
                return tip
            if done.ok or not done.in_time or again:
                continue
            there = self._is_there(end - monotonic(), said="find remote ref" in done.words)
            if there is False:
                return NULL
            if there is None:
                break
        if done.ok:
            raise GitFault(f"git said that it fetched from {self.where}, and did not", hint=AGAIN)
        if there and done.in_time and _DAMAGE.search(done.words):
            message = f"{self.where} answers, and git can't take in what it has: {done.words}"
            raise Damaged(message, hint="git fsck, then gitcoord doctor")
        raise Unreachable(_away(self.where, done.how if done.in_time else f"no answer in {seconds:.0f} s"), hint=AWAY_HINT)

    def _fetching(self, into: str, *more: str, of: str = "") -> list[str]:
        """The arguments of a fetch of exactly our branch, or of another ref of ours, into that ref."""
        return [
            *NO_LOG, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
            "--no-recurse-submodules", "--no-auto-maintenance", "--no-filter", "--refmap=", *more,
            *self._programs("uploadpack"), "--", self._word, f"+{of or self._full}:{into}",
        ]  # fmt: skip

    def keep(self, tip: Oid) -> None:
        """In a ref of ours: the remote-tracking ref follows whatever is fetched, and a prune takes it."""
        self._repo.keep(self.kept, tip)

    def way_back(self, seen: Oid, now: Oid) -> str:
        """By a push; without force, where the branch is gone or was only rewound."""
        known = self._remote in self._repo.remotes  # else the branch is a hub's, whose objects lie in a repository of its own
        push = f"git push {self._remote}" if known else f"git --git-dir={self._repo.git_dir} push {self.url}"
        if not now or self._repo.is_ancestor(now, seen):
            return f"{push} {seen}:{self._full}"
        lease = f"--force-with-lease={self._full}:{now}"
        return f"{push} {lease} {seen}:{self._full} (what was written there since it was rewritten is gone then)"

    def complete(self, tip: Oid) -> None:
        """Fetches all of our branch's history. git takes its commits out of the file `shallow`, and leaves the user's there."""
        end = monotonic() + _COMPLETING
        for number in range(TRIES):
            if number:  # another fetch had that file's lock, or changed it meanwhile
                self._sleep(0.05 * 2**number * (0.5 + secrets.randbelow(100) / 100))
            mine = own_ref("fetch")
            done = self._connect(*self._fetching(mine, f"--depth={_ALL}"), seconds=max(1.0, end - monotonic()))
            if done.ok:
                self._repo.drop_refs([mine])
            if not self._repo.is_cut(tip):
                return
        words = (done.words or "the rest is not there") if done.in_time else f"no answer in {_COMPLETING:.0f} s"
        raise Unreachable(
            f"this clone has only the newest part of {self.ref} (a fetch with a depth); the rest can't be fetched: {words}",
            hint=f"git fetch --unshallow {self.where}",
        )

    def mend(self) -> None:
        """Fetches all of our branch's history into a repository of its own, and puts that pack beside the others here: git looks
        into packs first, and the newest first. Raises Unreachable.
        """
        into = os.path.join(self._repo.common_dir, "objects", "pack")
        with tempfile.TemporaryDirectory(prefix="gitcoord-") as folder:
            aside = hub.home(self._repo, os.path.join(folder, "whole.git"), self.url)
            words = ["-c", "fetch.unpackLimit=1", *self._fetching("refs/heads/whole")]
            done = aside.run(*words, seconds=_COMPLETING, extra=self._meaning)
            if not done.ok:
                raise Unreachable(_away(self.where, done.how), hint=AWAY_HINT)
            packs = glob.glob(os.path.join(glob.escape(aside.common_dir), "objects", "pack", "pack-*"))
            packs.sort(key=lambda path: path.endswith(".idx"))
            for path in packs:  # the index comes last: by it git sees that there is a pack
                new = os.path.join(into, f"tmp_{secrets.token_hex(8)}")
                shutil.copy(path, new)
                os.replace(new, os.path.join(into, os.path.basename(path)))
        with suppress(GitFault):
            self._repo.run("prune-packed", "--quiet")  # the damaged ones, too: they are in that pack

    def _is_there(self, seconds: float, *, said: bool) -> bool | None:
        """Whether the branch is on the remote; None when the remote doesn't answer. `said`: git has said that it isn't; else it
        must say so twice.
        """
        # ls-remote tells "no such ref" (2) from "no such remote" (128) by its exit code; fetch only in words.
        words = ["ls-remote", "--exit-code", *self._programs("uploadpack"), "--", self._word, self._full]
        for last in (said, True):
            done = self._connect(*words, seconds=max(0.5, seconds))
            if not done.in_time or done.returncode != 2 or done.stdout or last:
                break
        return True if done.ok else False if done.in_time and done.returncode == 2 else None

    def is_empty(self, seconds: float) -> bool:
        """Whether the remote has no branch at all: then its host would take the first one pushed for the default."""
        words = ["ls-remote", "--exit-code", "--heads", *self._programs("uploadpack"), "--", self._word]
        done = self._connect(*words, seconds=seconds)
        if done.ok or (done.in_time and done.returncode == 2):
            return not done.ok
        raise Unreachable(_away(self.where, done.words if done.in_time else f"no answer in {seconds:.0f} s"), hint=AWAY_HINT)

    def _connect(self, *words: str, seconds: float, extra: Mapping[str, str] | None = None) -> Finished:
        """Runs a git that connects to the remote, called `self._word` among its arguments."""
        return self._repo.run(*words, seconds=seconds, extra={**self._meaning, **(extra or {})})

    def _programs(self, which: str) -> list[str]:
        program = self._repo.setting(f"remote.{self._remote}.{which}")
        return [f"--{'upload' if which == 'uploadpack' else 'receive'}-pack={program}"] if program else []

    def _follow(self, known: Oid, tip: Oid, *, drop: str = "", keep: Oid = NULL) -> None:
        """Moves the remote-tracking ref on, unless somebody did meanwhile; takes our own ref away; keeps that commit. A git does
        that while this process goes on.
        """
        feed = dropping_own(self._repo, drop)
        feed += f"start\nupdate {self.kept} {keep}\ncommit\n" if keep else ""
        if tip != known:
            feed += f"start\nupdate {self._tracking} {tip} {known or '0' * len(tip)}\ncommit\n"
        if feed:
            self._repo.update_refs_meanwhile(feed)

    def swap(self, expected: Oid, new: Oid, seconds: float, *, sending: str = "") -> Swap:
        """Pushes exactly `new` with a lease on `expected`; then the tip decides."""
        try:
            swap = self._swap(expected, new, seconds, sending)
        except BaseException:
            drop_own(self._repo, sending)
            raise
        if swap is Swap.WON:
            self._follow(expected, new, drop=sending, keep=new)
        else:
            drop_own(self._repo, sending)
        return swap

    def put_archive(self, last: Oid, archive: str, seconds: float) -> None:
        """Pushes it by itself: git's `--atomic` moves the branch all the same where a server hides such refs. What is seen on the
        remote decides.
        """
        end = monotonic() + seconds
        words = ["push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-progress"]
        done = self._connect(
            "-c", "push.gpgSign=false", *words, f"--force-with-lease={archive}:", *self._programs("receivepack"),
            "--", self._word, f"{last}:{archive}", seconds=seconds,
        )  # fmt: skip
        lines = [line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines()]
        said = next((line for line in lines if len(line) > 2 and line[1].endswith(f":{archive}")), None)
        if done.ok and said is not None and said[0] == "*":
            return
        left = max(1.0, end - monotonic())
        seen = self._connect("ls-remote", *self._programs("uploadpack"), "--", self._word, archive, seconds=left)
        if seen.ok and seen.stdout.startswith(last.encode()):
            return
        how = " ".join(said[2:]) if said is not None else done.how if done.in_time else f"no answer in {seconds:.0f} s"
        if seen.ok and said is not None and said[0] == "!":
            raise Refused(f"{self.where} refuses {archive}: {how}", hint="gitcoord doctor")
        raise Unreachable(_away(self.where, how), hint=AWAY_HINT)

    def drop_archive(self, archive: str, seconds: float) -> None:
        """Pushes its deletion, once."""
        with suppress(GitFault):
            self._connect("push", "--quiet", "--no-verify", "--", self._word, f":{archive}", seconds=seconds)

    def begin_anew(self, expected: Oid, new: Oid, last: Oid, archive: str, seconds: float) -> Swap:
        """Pushes both refs, one of which may be there; then the tip decides."""
        swap = self._swap(expected, new, seconds, "", (last, archive))
        if swap is Swap.WON:
            self._follow(expected, new, keep=new)
            self._repo.keep(archive, last)
        return swap

    def fetch_archive(self, archive: str, seconds: float) -> None:
        """Fetches that ref under its own name. One that the remote doesn't have is not there.

        Where a fetch with a depth cut this clone's history, the cut may lie in that archive: then it is fetched to its beginning.
        """
        known = [f"--negotiation-tip={tracked}"] if (tracked := self._tracked()) else []
        words = self._fetching(archive, *([f"--depth={_ALL}"] if self._repo.boundary() else known), of=archive)
        done = self._connect(*words, seconds=seconds)
        if not done.ok and not (done.in_time and "find remote ref" in done.words):
            raise Unreachable(_away(self.where, done.how if done.in_time else f"no answer in {seconds:.0f} s"), hint=AWAY_HINT)

    def _stands_on(self, expected: Oid, new: Oid) -> bool:
        """True if `new` has `expected` behind it: git calls a push forced, too, where this clone lacks commits in between."""
        try:
            return self._is_in(expected, new)
        except Damaged:
            self.mend()
            return self._is_in(expected, new)

    def _swap(self, expected: Oid, new: Oid, seconds: float, sending: str, beside: tuple[Oid, str] | None = None) -> Swap:
        """`beside`: what goes to an archive in the same step; then the branch may be forced."""
        end = monotonic() + seconds
        flag, words, sent, this_sent = "", "", False, False
        for number in range(TRIES):
            if number:
                self._sleep(0.05 * 2**number * (0.5 + secrets.randbelow(100) / 100))
            left = end - monotonic()
            if left <= 0:
                break
            flag, words, this_sent, over = self._push(expected, new, left, beside)
            sent = sent or this_sent
            if flag == "+" and beside is None and not self._stands_on(expected, new):
                raise Alarm(
                    f"the remote says that its branch was forced from {expected[:12] or 'nothing'} to {new[:12]}",
                    hint="gitcoord doctor",
                )
            if flag in {" ", "*", "=", "+"}:
                return Swap.WON
            try:
                tip = self._read_after(expected, new, sending, max(2.0, end - monotonic()))
                if tip and self._is_in(new, tip):
                    return Swap.WON
                # What was sent may lie behind a read that lags, and shows an older tip: only another one says that it is lost.
                lost = tip != expected and (not sent or bool(tip and not self._is_in(tip, expected)))
                # git announces a push before it packs what it has: one that then ends by itself has sent nothing that can land.
                refused = flag == "!" and this_sent and "remote failure" not in words and "unpack" not in words
                gone = not lost and over and not refused and not self._repo.has_all(new, expected)
            except (Unreachable, GitFault) as error:
                if sent:
                    raise Unknown(
                        f"the change was sent to {self.where} and may have landed; then it could not be read ({error.message})",
                        hint=AGAIN,
                    ) from error
                if isinstance(error, GitFault) or flag == "!":  # a branch that has gone on is no reason: that it can't be read is
                    raise
                raise Unreachable(_away(self.where, words), hint=AWAY_HINT) from error
            if lost or gone:
                self.found = tip
                self._declined = self._declined + 1 if lost and "declined" in words else 0
                if self._declined >= _DECLINED:  # nothing of it landed, and it is no race that is lost there
                    raise Refused(f"{self.where} refuses the push: {words}", hint="gitcoord doctor")
                return Swap.LOST if lost else Swap.GONE
        # git itself held the push back, for the branch isn't where reads still show it: they lag, and nobody refused.
        lags = flag == "!" and not this_sent
        if flag == "!" and this_sent and _FAULTS.search(words):
            raise Unreachable(
                f"{self.where} can't move its branch now, though nothing forbids it: {words}",
                hint="try again later; if it stays so, whoever runs the server looks for a lock that a dead push has left",
            )
        if not sent and not flag and _PASSING.search(words):
            raise Unreachable(_away(self.where, words), hint=AWAY_HINT)
        if end - monotonic() > 0 and not lags:
            raise Refused(f"{self.where} refuses the push: {words or 'no reason given'}", hint="gitcoord doctor")
        if sent:
            raise Unknown(f"the change was sent to {self.where}; whether it landed can't be said yet", hint=AGAIN)
        # Silence is no refusal: a command that can wait must not count it as one.
        raise Unreachable(_away(self.where, words or f"no answer in {seconds:.0f} s"), hint=AWAY_HINT)

    def _read_after(self, expected: Oid, new: Oid, sending: str, seconds: float) -> Oid:
        """The tip after a push that failed."""
        try:
            return self._read(seconds)
        except Damaged:
            if not self._repo.has_all(new, expected):
                drop_own(self._repo, sending)  # a ref without its objects is in the way of every fetch
            return self.read(seconds)

    def would_take(self, seconds: float) -> tuple[bool, str]:
        """Whether the remote talks about receiving with us at all, and else its words: a push that changes nothing and is not
        carried out. No hook and no rule of the server is asked by it.
        """
        words = ["push", "--dry-run", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-progress"]
        update = f"{self._tracked()}:{self._full}"
        done = self._connect(
            "-c", "push.gpgSign=false", *words, *self._programs("receivepack"), "--", self._word, update, seconds=seconds
        )
        if done.ok or any(line.startswith(b"!\t") for line in done.stdout.splitlines()):  # it has gone on meanwhile
            return True, ""
        return False, done.words if done.in_time else f"no answer in {seconds:.0f} s"

    def _is_in(self, commit: Oid, tip: Oid) -> bool:
        """Whether the tip has the commit behind it; NULL is behind everything, and has nothing behind it."""
        if NULL in (commit, tip):
            return commit == NULL
        try:
            if self._repo.is_ancestor(commit, tip):
                return True
        except Damaged:
            if self._repo.oid_of(f"{commit}^{{commit}}"):
                raise
            return False  # it isn't here, and all that the tip has is
        if not self._repo.is_cut(tip):
            return False
        self.complete(tip)
        return self._repo.is_ancestor(commit, tip)

    def _push(self, expected: Oid, new: Oid, seconds: float, beside: tuple[Oid, str] | None = None) -> tuple[str, str, bool, bool]:
        """The flag of our ref ("" when git gave none), git's words, whether the update was sent at all, and whether git itself
        ended the push.

        git's packet trace is the evidence: without the line that names the new commit no request left this machine.
        """
        anew = ["--atomic"] if beside else []
        with tempfile.TemporaryDirectory(prefix="gitcoord-") as folder:
            trace = os.path.join(folder, "packets")
            done = self._connect(
                "-c", "push.gpgSign=false", "-c", "push.negotiate=false", "-c", "push.pushOption=",
                "push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-progress",
                f"--force-with-lease={self._full}:{expected}", *anew, *self._programs("receivepack"),
                "--", self._word, f"{new}:{self._full}", *([":".join(beside)] if beside else []),
                seconds=seconds, extra={"GIT_TRACE_PACKET": trace},
            )  # fmt: skip
            flag, summary = "", ""
            for line in done.stdout.decode("utf-8", "replace").splitlines():
                fields = line.split("\t")
                if len(fields) >= 2 and fields[1].endswith(f":{self._full}"):
                    flag, summary = fields[0], " ".join(fields[2:])
            if done.ok and flag in {" ", "*", "="}:  # "=": the branch stands at exactly this commit, and that is ours
                return flag, "", True, True
            if not done.ended_itself:
                return (flag if flag in {"+", "!"} else ""), done.how, _was_sent(trace, new), False
            said = [line for line in done.words.split(" / ") if not line.startswith("error: failed to push")]
            reason = " / ".join([*said, *([summary] if summary else [])])
            return (flag if flag in {"+", "!"} else ""), reason, _was_sent(trace, new), True

    def witness(self) -> datetime | None:
        """The remote's clock: its `Date` header over HTTP, a file's time on a file remote; ssh and git tell none."""
        if self._clock is None and protocol_of(self.url) in {"http", "https"}:
            return self._http_date()
        return self.at_hand()

    def at_hand(self) -> datetime | None:
        """The time of a file in the remote's folder; None where the remote isn't a folder."""
        if self._clock is not None:
            return self._clock()
        path = self.url.removeprefix("file://") if protocol_of(self.url) == "file" else ""
        if path and os.path.isdir(path):
            try:
                with tempfile.TemporaryFile(dir=path) as probe:  # unlinked at once: the file system's own clock, nothing left
                    probe.write(b".")
                    probe.flush()
                    return datetime.fromtimestamp(os.fstat(probe.fileno()).st_mtime, UTC)
            except OSError:
                return None
        return None

    def _http_date(self) -> datetime | None:
        """The newest `Date` that the server itself sends while git lists our branch: with the user's proxy, certificates and
        credentials, and without going on to where it may point.
        """
        with tempfile.TemporaryDirectory(prefix="gitcoord-") as folder:
            trace = os.path.join(folder, "headers")
            self._connect(
                "-c", "http.followRedirects=false", "ls-remote", "--", self._word, self._full,
                seconds=_WITNESS, extra={"GIT_TRACE_CURL": trace, "GIT_TRACE_CURL_NO_DATA": "1"},
            )  # fmt: skip
            try:
                with open(trace, encoding="utf-8", errors="replace") as lines:
                    return newest_date(lines)
            except FileNotFoundError:
                return None


def newest_date(trace: Iterable[str]) -> datetime | None:
    """The newest `Date` that a server sent, by git's trace of the headers; None if none did. What a proxy answers for itself, when
    it is asked for a way through, is not the server's.
    """
    stamp, method = "", ""
    for line in trace:
        if match := _METHOD.search(line):
            method = match[1]
        elif (match := _DATE.search(line)) and method != "CONNECT":
            stamp = match[1]
    from email.utils import parsedate_to_datetime  # here: only a remote that is asked by HTTP says its time

    try:
        return parsedate_to_datetime(stamp).astimezone(UTC) if stamp else None
    except (TypeError, ValueError, OverflowError):
        return None


def _away(where: str, words: str) -> str:
    return f"{where} can't be reached: {words or 'no reason given'}"


def _was_sent(trace: str, new: Oid) -> bool:
    # The update itself is "<old> <new> <ref>", said by "push" or, over HTTP, by a helper that calls itself "git".
    update = b" " + new.encode() + b" refs/heads/"
    try:
        with open(trace, "rb") as packets:
            return any(b"> " in line and update in line for line in packets)
    except FileNotFoundError:
        return False

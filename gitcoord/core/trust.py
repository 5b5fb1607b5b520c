"""Who really said it: what a signature and an e-mail address say of an event, by what the reader trusts. Pure.

An event's *origin* is the e-mail address of its commit and the key whose signature covers it. A session's name belongs to the
origin of its first event, its *owner*. Nothing of this changes what is good: it is only shown.

What a reader trusts is the form of ssh's file of allowed signers. A principal is an e-mail address, `session:NAME` or `role:NAME`,
each with `*` and `?` as ssh takes them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from gitcoord.errors import BadInput

BAD = "bad"
"""In place of a key: the signature doesn't fit what it signs."""
UNREAD = "unread"
"""In place of a key: nothing here could tell yet whose signature it is."""

Word = Literal["verified", "unsigned", "unknown", "unread", "wrong"]

_KEY_TYPE = re.compile(r"(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+", re.ASCII)
_GPG = re.compile(r"gpg:[0-9A-F]{40}(?:[0-9A-F]{24})?", re.ASCII)
_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?Z?", re.ASCII)
_OPTION = re.compile(r'(cert-authority)|(namespaces|valid-after|valid-before)="([^"]*)"', re.IGNORECASE | re.ASCII)
_NOREPLY = re.compile(r"\d+\+(?=[^@]+@users\.noreply\.)")

NOBODY = "somebody without an e-mail address"
"""This names whoever pushed a commit that bears no address."""


@dataclass(frozen=True)
class Origin:
    """Where an event came from.

    - `email`: of its commit; "" where the writer's git has none.
    - `key`: whose signature covers it: `SHA256:…`, `gpg:…`, `BAD`, `UNREAD`; "" for none.
    - `authority`, `principals`: the key that signed the certificate of that key, and for whom.
    - `until`: when the certificate ends.
    - `adopter`: the session that adopted it, where it was carried.
    """

    email: str = ""
    key: str = ""
    authority: str = ""
    principals: tuple[str, ...] = ()
    since: int = 0
    until: int = 0
    adopter: str = ""


@dataclass(frozen=True)
class TrustedKey:
    """One line of what a reader trusts: for whom that key speaks. `authority`: what it certifies speaks, not the key itself."""

    principals: tuple[str, ...]
    key: str
    authority: bool = False
    since: datetime | None = None
    until: datetime | None = None
    for_git: bool = True
    line: str = ""

    def holds_at(self, at: datetime) -> bool:
        """Return True if the key may sign what was written then."""
        return self.for_git and (self.since is None or at >= self.since) and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Trust:
    """What a reader trusts: keys, and which e-mail addresses are one person's."""

    keys: tuple[TrustedKey, ...] = ()
    people: tuple[frozenset[str], ...] = ()

    def same_person(self, email: str, other: str) -> bool:
        """Return True if two addresses are known to be one person's."""
        first, second = plain_email(email), plain_email(other)
        return first == second or any({first, second} <= person for person in self.people)

    def speaking(self, origin: Origin, at: datetime) -> tuple[str, ...]:
        """Return for whom the origin's key speaks, as patterns; () if it isn't trusted."""
        found: list[str] = []
        for trusted in self.keys:
            if not trusted.holds_at(at):
                continue
            if trusted.authority and trusted.key == origin.authority and origin.since <= at.timestamp() < origin.until:
                found += [one for one in origin.principals if matches(trusted.principals, one)]
            elif not trusted.authority and trusted.key == origin.key:
                found += trusted.principals
        return tuple(dict.fromkeys(found))

    def expects(self, session: str, role: str, owner: Origin) -> bool:
        """Return True if some trusted key is bound to that session: then it is worth a word if an event of it is not signed."""
        return any(
            matches(one.principals, f"session:{session}")
            or bool(role and matches(one.principals, f"role:{role}"))
            or bool(owner.email and not one.authority and _fits(one.principals, owner.email, self))
            for one in self.keys
        )


@dataclass(frozen=True)
class Verdict:
    """What is said of an event's origin.

    - `word`: `verified` (by a key that speaks for that session), `unsigned`, `unknown` (by a key that the reader doesn't know),
      `unread` (nothing here can check it), or `wrong`.
    - `by`: whom the key stands for, or the key.
    - `why`: what is wrong.
    - `pushed_by`: the e-mail address, where it isn't that of the name's owner.
    - `expected`: a trusted key is bound to that session.
    """

    word: Word = "unsigned"
    by: str = ""
    why: str = ""
    pushed_by: str = ""
    expected: bool = False

    @property
    def is_doubtful(self) -> bool:
        """Return True if somebody else seems to have spoken in the session's name."""
        return self.word == "wrong" or bool(self.pushed_by)


def judge(
    session: str, origin: Origin, owner: Origin, trust: Trust, at: datetime, *, role: str = "", covered: bool = False
) -> Verdict:
    """Return what is to be said of an event of that session. `owner`: of the session's name, or, where the event was carried, of
    its adopter's, which is who speaks; the same for `session` and `role`.

    `covered`: the signature is that of a later commit, which says that it is for this one, too. Whoever signs that can speak for
    himself, but can't make another's event look forged.
    """
    verdict = _judge(session, origin, owner, trust, at, role)
    if covered and verdict.word != "verified":
        verdict = _judge(session, replace(origin, key=""), owner, trust, at, role)
    return verdict


def _judge(session: str, origin: Origin, owner: Origin, trust: Trust, at: datetime, role: str) -> Verdict:
    expected = trust.expects(session, role, owner)
    same = not owner.email or not owner_differs(origin, owner, trust)
    other = "" if same else (origin.email or NOBODY)
    if origin.key == BAD:
        return Verdict("wrong", why="its signature doesn't fit what it signs", pushed_by=other, expected=expected)
    if not origin.key:
        return Verdict("unsigned", pushed_by=other, expected=expected)
    if origin.key == UNREAD:
        return Verdict("unread", pushed_by=other, expected=expected)
    speaking = trust.speaking(origin, at)
    if speaking:
        return _judge_known(session, origin, owner, trust, speaking, expected, role)
    if owner.key == origin.key and not expected:
        return Verdict("unknown", by=origin.key)
    if expected or owner.key not in ("", BAD, UNREAD):
        return Verdict("wrong", origin.key, f"signed by another key ({origin.key})", other, expected)
    return Verdict("unknown", origin.key, pushed_by=other)


def _judge_known(
    session: str, origin: Origin, owner: Origin, trust: Trust, speaking: Sequence[str], expected: bool, role: str
) -> Verdict:
    """Return what is to be said of an event that a trusted key has signed, which speaks for those."""
    people = [one for one in speaking if not one.startswith(("session:", "role:", "!"))]
    who = next((one for one in people if not _is_pattern(one)), origin.email if people else speaking[0])
    named = matches(speaking, f"session:{session}") or bool(role and matches(speaking, f"role:{role}"))
    if named:
        return Verdict("verified", who, expected=True)
    bound = [one for one in trust.keys if matches(one.principals, f"session:{session}")]
    if not people or bound:
        return Verdict("wrong", who, f"signed by {who}, who may not speak for {session}", expected=True)
    if not _fits(people, origin.email, trust):
        return Verdict("wrong", who, f"signed by {who}, and not pushed under that address", origin.email, expected=True)
    if owner.email and not _fits(people, owner.email, trust) and owner.key != origin.key:
        return Verdict("wrong", who, f"signed by {who}", origin.email, expected=True)
    return Verdict("verified", who, expected=True)


def owner_differs(origin: Origin, owner: Origin, trust: Trust) -> bool:
    """Return True if an event of that origin was not pushed by the owner of its session's name, as far as these two tell."""
    if origin.key and origin.key not in (BAD, UNREAD) and origin.key == owner.key:
        return False
    return not trust.same_person(origin.email, owner.email)


def plain_email(email: str) -> str:
    """Return the address as it is compared: in small letters; a host's address that hides another, without its number."""
    return _NOREPLY.sub("", email.casefold())


def _fits(principals: Iterable[str], email: str, trust: Trust) -> bool:
    plain = plain_email(email)
    known = next((person for person in trust.people if plain in person), frozenset((plain,)))
    patterns = [plain_email(one) for one in principals]
    return any(matches(patterns, one) for one in known)


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text), re.DOTALL)


def matches(patterns: Collection[str], text: str) -> bool:
    """Return True if one of ssh's patterns fits, and none of those with `!` in front."""
    if any(one.startswith("!") and _pattern(one[1:]).fullmatch(text) for one in patterns):
        return False
    return any(not one.startswith("!") and _pattern(one).fullmatch(text) for one in patterns)


def fingerprint(blob: bytes) -> str:
    """Return the name of an ssh key, as ssh shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


# --- the file --------------------------------------------------------------------------------------------------------------


def parse_line(text: str) -> TrustedKey:
    """Return what a line of allowed signers says: principals, options, a key (`gpg:` and a fingerprint for one of GnuPG). Raises
    BadInput.
    """
    line = text.strip()
    head, _, rest = _first_word(line)
    principals = tuple(one for one in head.split(",") if one)
    rest = rest.strip()
    authority, since, until, for_git = False, None, None, True
    while rest and not (_KEY_TYPE.match(rest) or rest.startswith("gpg:")):
        word, _, rest = rest.partition(" ")
        while word.count('"') % 2 and rest:
            more, _, rest = rest.partition(" ")
            word = f"{word} {more}"
        for option in _split_options(word):
            given = _OPTION.fullmatch(option)
            if given is None:
                raise BadInput(f"{option[:60]!r} is no option of an allowed signer", hint=_EXAMPLE)
            name = (given[1] or given[2]).lower()
            authority |= name == "cert-authority"
            for_git = matches(given[3].split(","), "git") if name == "namespaces" else for_git
            since = _instant(given[3]) if name == "valid-after" else since
            until = _instant(given[3]) if name == "valid-before" else until
        rest = rest.strip()
    words = rest.split()
    if not principals or not words:
        raise BadInput("an allowed signer is: who, and a key", hint=_EXAMPLE)
    if words[0].startswith("gpg:"):
        key = "gpg:" + "".join([words[0][4:], *words[1:]]).replace("0x", "").upper()
        if not _GPG.fullmatch(key):
            raise BadInput("a key of GnuPG is given by its whole fingerprint: gpg: and 40 hex digits", hint="gpg --fingerprint")
        return TrustedKey(principals, key, authority, since, until, for_git, line)
    return TrustedKey(principals, _ssh_key(words), authority, since, until, for_git, line)


_EXAMPLE = "for example: gitcoord trust add ada@example.com ~/.ssh/id_ed25519.pub"


def _first_word(line: str) -> tuple[str, str, str]:
    if line.startswith('"'):
        inside, quote, rest = line[1:].partition('"')
        return inside, quote, rest
    return line.partition(" ") if " " in line else line.partition("\t")


def _split_options(word: str) -> list[str]:
    return [one for one in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', word) if one]


def _ssh_key(words: Sequence[str]) -> str:
    try:
        blob = base64.b64decode(words[1], validate=True)
        size = int.from_bytes(blob[:4])
        if blob[4 : 4 + size].decode("ascii") != words[0]:
            raise ValueError("another type")
    except (IndexError, ValueError, binascii.Error):
        raise BadInput("that is no public key of ssh", hint=_EXAMPLE) from None
    return fingerprint(blob)


def _instant(text: str) -> datetime:
    given = _TIME.fullmatch(text)
    if given is None:
        raise BadInput(f"{text[:40]!r} is no time of an allowed signer: YYYYMMDD, or YYYYMMDDHHMM[SS], in UTC")
    year, month, day, hour, minute, second = (int(part or 0) for part in given.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise BadInput(f"{text[:40]!r} is no day that the calendar has") from None


def parse_trust(signers: str, people: str = "") -> tuple[Trust, list[str]]:
    """Return what these two files say, and why lines of them can't be used: a line that nobody can read trusts nobody."""
    keys, faults = [], []
    for number, line in enumerate(signers.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            keys.append(parse_line(line))
        except BadInput as error:
            faults.append(f"line {number}: {error.message}")
    known = [frozenset(map(plain_email, re.split(r"[,\s]+", line.strip()))) for line in people.splitlines()]
    return Trust(tuple(keys), tuple(person for person in known if len(person) > 1)), faults


def quote_principals(principals: Iterable[str]) -> str:
    """Return the principals as a line of allowed signers has them. Raises BadInput."""
    listed = [one for one in principals if one]
    if not listed or any(re.search(r'[\s",#]', one) for one in listed):
        raise BadInput(f"{shlex.join(listed)} names nobody: an e-mail address, session:NAME or role:NAME", hint=_EXAMPLE)
    return ",".join(listed)

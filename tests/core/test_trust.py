"""What is said of an event's origin: forgers are named, and whoever is honest is left in peace."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitcoord.core.trust import BAD, UNREAD, Origin, Trust, judge, matches, parse_line, parse_trust
from gitcoord.errors import BadInput

AT = datetime(2025, 11, 15, 10, tzinfo=UTC)
ADA_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIBvq7UzVqAfwhNqDLmbAEz1ig5j6VVDwMvBv9ZRtuuZA"
BEN_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIPzVpQ0b2TzK1VZt4Jm1rTnWcJkZr5l8wKk3xQe0YI5n"
MALLORY_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIDk9bq1o1uD0YkH0o3T7bZyq1p9iZQwq2m4v3a8t0LwB"
ADA, BEN, MALLORY = (parse_line(f"x ssh-ed25519 {key}").key for key in (ADA_KEY, BEN_KEY, MALLORY_KEY))
OWNER = Origin("ada@example.com")


def _trust(*lines: str, people: str = "") -> Trust:
    found, faults = parse_trust("\n".join(lines), people)
    assert faults == []
    return found


BY_EMAIL = _trust(f"ada@example.com ssh-ed25519 {ADA_KEY}", f"mallory@example.com ssh-ed25519 {MALLORY_KEY}")
BY_NAME = _trust(f"session:ada,session:ada-* ssh-ed25519 {ADA_KEY}", f"session:mallory ssh-ed25519 {MALLORY_KEY}")


@pytest.mark.parametrize(
    ("origin", "owner", "trust", "word", "pushed_by"),
    [
        # nobody signs, nothing is trusted: the address tells
        (Origin("ada@example.com"), OWNER, Trust(), "unsigned", ""),
        (Origin("ADA@example.com"), OWNER, Trust(), "unsigned", ""),
        (Origin("mallory@example.com"), OWNER, Trust(), "unsigned", "mallory@example.com"),
        (Origin(""), OWNER, Trust(), "unsigned", "somebody without an e-mail address"),
        (Origin("ada@example.com"), Origin(""), Trust(), "unsigned", ""),
        (Origin("7+ada@users.noreply.example.com"), Origin("ada@users.noreply.example.com"), Trust(), "unsigned", ""),
        (Origin("ada@home.example"), OWNER, _trust(people="ada@example.com, ada@home.example"), "unsigned", ""),
        # signed, and nothing is trusted: the first key tells
        (Origin("ada@home.example", ADA), Origin("ada@example.com", ADA), Trust(), "unknown", ""),
        (Origin("ada@example.com", MALLORY), Origin("ada@example.com", ADA), Trust(), "wrong", ""),
        (Origin("mallory@example.com", MALLORY), OWNER, Trust(), "unknown", "mallory@example.com"),
        (Origin("ada@example.com", BAD), OWNER, Trust(), "wrong", ""),
        (Origin("ada@example.com", UNREAD), OWNER, Trust(), "unread", ""),
        # trusted by addresses
        (Origin("ada@example.com", ADA), OWNER, BY_EMAIL, "verified", ""),
        (Origin("ada@example.com", MALLORY), OWNER, BY_EMAIL, "wrong", "ada@example.com"),
        (Origin("mallory@example.com", MALLORY), OWNER, BY_EMAIL, "wrong", "mallory@example.com"),
        (Origin("ada@example.com", BEN), OWNER, BY_EMAIL, "wrong", ""),
        # trusted by names of sessions: the address is nobody's business then
        (Origin("ada@home.example", ADA), OWNER, BY_NAME, "verified", ""),
        (Origin("ada@example.com", MALLORY), OWNER, BY_NAME, "wrong", ""),
        (Origin("ada@example.com", BEN), OWNER, BY_NAME, "wrong", ""),
    ],
)
def test_what_an_origin_says_of_adas_event(origin: Origin, owner: Origin, trust: Trust, word: str, pushed_by: str) -> None:
    verdict = judge("ada", origin, owner, trust, AT)
    assert (verdict.word, verdict.pushed_by) == (word, pushed_by)
    assert verdict.is_doubtful == (word == "wrong" or bool(pushed_by))


def test_an_unsigned_event_is_worth_a_word_only_where_a_key_is_bound_to_the_session() -> None:
    assert judge("ada", OWNER, OWNER, BY_NAME, AT).expected
    assert judge("ada", OWNER, OWNER, BY_EMAIL, AT).expected
    assert not judge("ben", Origin("ben@example.com"), Origin("ben@example.com"), BY_EMAIL, AT).expected


def test_a_role_binds_every_session_that_has_it() -> None:
    trust = _trust(f"role:reviewer ssh-ed25519 {ADA_KEY}")
    assert judge("eve", Origin("eve@example.com", ADA), Origin(), trust, AT, role="reviewer").word == "verified"
    assert judge("eve", Origin("eve@example.com", ADA), Origin(), trust, AT, role="builder").word == "wrong"


def test_whoever_signs_a_later_commit_cant_make_an_earlier_one_look_forged() -> None:
    covered = judge("ada", Origin("ada@example.com", MALLORY), OWNER, BY_EMAIL, AT, covered=True)
    assert (covered.word, covered.is_doubtful) == ("unsigned", False)
    assert judge("ada", Origin("ada@example.com", ADA), OWNER, BY_EMAIL, AT, covered=True).word == "verified"


def test_a_certificate_speaks_for_whom_it_names_as_far_as_its_authority_may_and_as_long_as_it_lasts() -> None:
    trust = _trust(f"*@example.com cert-authority ssh-ed25519 {BEN_KEY}")
    end = int(AT.timestamp()) + 60
    given = Origin("ada@example.com", ADA, BEN, ("ada@example.com", "ada@elsewhere.org"), 0, end)
    assert judge("ada", given, OWNER, trust, AT).word == "verified"
    late = datetime.fromtimestamp(end, UTC)
    assert judge("ada", given, OWNER, trust, late).word == "unknown"
    assert judge("ada", Origin("ada@example.com", BEN), OWNER, trust, AT).word == "unknown"  # an authority is no signer


def test_a_key_counts_only_in_its_time_and_for_git() -> None:
    signed = Origin("ada@example.com", ADA)
    for options, word in (
        ('valid-after="20251114",valid-before="20251116"', "verified"),
        ('valid-before="20251115"', "wrong"),
        ('valid-after="20251115100001Z"', "wrong"),
        ('namespaces="file,git"', "verified"),
        ('namespaces="file"', "wrong"),
    ):
        assert judge("ada", signed, OWNER, _trust(f"ada@example.com {options} ssh-ed25519 {ADA_KEY}"), AT).word == word, options


def test_lines_that_cant_be_read_trust_nobody_and_are_named() -> None:
    found, faults = parse_trust(f"# a comment\n\nada@example.com ssh-ed25519 {ADA_KEY}\nada@example.com ssh-ed25519 AAAA\nada\n")
    assert len(found.keys) == 1
    assert [fault.partition(":")[0] for fault in faults] == ["line 4", "line 5"]
    for line in (
        "x zk-proofs ssh-ed25519 " + ADA_KEY,
        "x gpg:1234",
        f"x ssh-rsa {ADA_KEY}",
        f'x valid-after="soon" ssh-ed25519 {ADA_KEY}',
    ):
        with pytest.raises(BadInput):
            parse_line(line)


def test_patterns_are_those_of_ssh() -> None:
    assert matches(("*@example.com", "!mallory@*"), "ada@example.com")
    assert not matches(("*@example.com", "!mallory@*"), "mallory@example.com")
    assert matches(("ad?",), "ada")
    assert not matches(("ada.b",), "adaxb")

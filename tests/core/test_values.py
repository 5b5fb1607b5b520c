"""One grammar for each value on the branch: what is spelled in another way is read by nobody, on no Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pure_branch import COMMIT

from gitcoord.core import names, values
from gitcoord.core.branch import with_setting
from gitcoord.core.leases import LeaseRef, RenewedLease, TakenLease
from gitcoord.core.queue import split_granted
from gitcoord.core.records import SharedSettings
from gitcoord.core.requests import split_asked
from gitcoord.core.times import read_instant

ODD_WHOLES = (
    "", " 5", "5 ", "5\n", "+5", "-0", "-5", "05", "5_0", "5.0", "5e0", "0x5", "\u0665", "\uff15", "5\u200b", "NaN", "inf",
    "9" * 17,
    str(2**53 + 1), "9" * 5000, "\u00b2", "true",
)  # fmt: skip
ODD_SWITCHES = ("", "t", "True", "TRUE", "1", "0", "yes", "on", "off", " true", "true\n", "ｔrue")
ODD_TIMES = (
    "2025-11-15T24:00:00Z", "2025-11-15T23:60:00Z", "2025-11-15T23:59:60Z", "2025-11-31T00:00:00Z", "2025-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z", "2025-00-10T00:00:00Z", "2025-13-10T00:00:00Z", "2025-11-00T00:00:00Z", "2025-W46-6T00:00:00Z",
    "20251115T100000Z", "2025-11-15T10:00:00,5Z", "2025-11-15t10:00:00Z", "2025-11-15T10:00:00Z\n", "\u0662025-11-15T10:00:00Z",
    "2025-11-15T10:00:00+00:00", "1999-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "1763200800",
)  # fmt: skip


@pytest.mark.parametrize("text", ODD_WHOLES, ids=lambda text: ascii(text[:12]))
def test_other_number_is_read_by_nobody(text: str) -> None:
    for read, entry in (
        (values.read_whole, text), (LeaseRef.parse, f"{text} file:a"), (RenewedLease.parse, f"{text} 2025-11-15T10:00:00Z file:a"),
        (TakenLease.parse, f"{text} ann expired file:a"), (split_granted, f"{text} ann file:a"), (split_asked,
        f"{text} ann held file:a"),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            read(entry)
    assert not values.is_whole(text)
    assert with_setting(SharedSettings(), "takeover_after", text) is None
    assert with_setting(SharedSettings(), "capacity.ci", text) is None


@pytest.mark.parametrize("text", ODD_SWITCHES, ids=ascii)
def test_other_switch_is_read_by_nobody(text: str) -> None:
    with pytest.raises(ValueError):
        values.read_switch(text)
    assert with_setting(SharedSettings(), "skip_ci", text) is None
    assert with_setting(SharedSettings(), "guard", text) is None or text == "off"


@pytest.mark.parametrize("text", ODD_TIMES, ids=ascii)
def test_other_time_is_read_by_nobody(text: str) -> None:
    with pytest.raises(ValueError):
        read_instant(text)
    with pytest.raises(ValueError):
        RenewedLease.parse(f"4 {text} file:a")


def test_last_day_of_a_february_is_read() -> None:
    for text in ("2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z", "2025-02-28T00:00:00Z", "2199-12-31T23:59:59Z"):
        assert f"{read_instant(text):%Y-%m-%dT%H:%M:%SZ}" == text


@pytest.mark.parametrize(
    ("known", "good", "bad"),
    [
        (values.is_oid, (COMMIT, "a" * 64),
         ("", "HEAD", "abc123", COMMIT.upper(), COMMIT[:-1], COMMIT + "0", "a" * 50, COMMIT + "\n", "--output=x", f"{COMMIT}^",
          COMMIT[:-1] + "\u0665")),
        (names.is_code_branch, ("main", "feature/x", "v1.0", "ü/\u30d6", "a;b", "a-", "x" * 250, "@x", "a.lockx"),
         ("", "-x", "--output=x", "a b", "x; touch y", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a@{1}", "@", "/a",
         "a/",
          "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a\n", "a\tb", "a\x7fb", "a\u202eb", "a\u200bb", "\ud800", "x" * 251)),
        (values.is_word, ("note", "release_request", "x9"), ("", "Note", "a b", "a-b", "9a", "a" * 33, "note\n", "ñ", "<b>")),
        (values.is_event_kind, ("claim.acquired", "note.17", "epoch.closed"),
         ("", "Claim.acquired", "a..b", ".a", "a.", "a b.c", "a.b.c.d.e", "a.\u0665", "a.b\n", "<b>.x")),
        (names.is_detail, ("a=", "a=b=c", "via=slack"), ("", "a", "=b", "a=\n", "a=" + "x" * 500)),
        (names.is_ignored, (f"{COMMIT} a merge", f"{COMMIT} '<b>' @x", "a" * 64 + " x"),
         ("", COMMIT, f"{COMMIT} ", f"{COMMIT[:12]} x", "@everyone call me", "www.evil.io click", f"{COMMIT} a\nb",
         f"{COMMIT} \u202eb",
          f"{COMMIT} a\x1b[2J", f"{COMMIT} " + "x" * 201, f"{COMMIT}\u3000x", f"{COMMIT.upper()} x")),
    ],
    ids=["commit", "branch", "word", "kind", "detail", "ignored"],
)  # fmt: skip
def test_grammar(known: Callable[[str], bool], good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    assert [text for text in good if not known(text)] == []
    assert [text for text in bad if known(text)] == []


@pytest.mark.parametrize(
    ("split", "entry"),
    [(TakenLease.parse, "4 Ann expired file:a"), (TakenLease.parse, "4 ann tired file:a"), (TakenLease.parse, "4 ann file:a"),
     (split_asked, "4 ann perhaps file:a"), (split_asked, "4 a/b held file:a"), (split_granted, "4 x y"), (split_granted,
     "4  file:a"),
     (RenewedLease.parse, "4 soon file:a"), (LeaseRef.parse, "4  file:a"), (LeaseRef.parse, "4 file:"), (LeaseRef.parse, "file:a")],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)  # fmt: skip
def test_entry_that_is_no_entry_is_read_by_nobody(split: Callable[[str], Any], entry: str) -> None:
    with pytest.raises(ValueError):
        split(entry)


def test_blanks_and_lines_are_those_of_the_format() -> None:
    """Python asks its Unicode tables for them, and those grow."""
    assert names.unblank(" a\u2003\t b\x85c\u3000") == "a b c"
    assert names.first_line("\n \u2028\x1c two words \x0bnext") == "two words"
    assert names.first_line(" \r\n\u3000") == ""

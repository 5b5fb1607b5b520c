"""What looks like a secret: known forms of tokens, keys and webhook addresses, and values that are called a password or token.

The one table of rules. What goes onto the branch stays there for ever, for all who can read it: so a command that holds a secret
is refused, what hooks and agents say by themselves has it hidden, and what is told to a chat too. Pure, and of the standard
library alone. Every pattern is bounded: a text costs time in proportion to its length, whatever is in it; and one in which none
of a rule's marks stands costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from gitcoord.errors import BadInput


class Rule(NamedTuple):
    """A kind of secret: its name, texts of which one stands in every such secret, and what it looks like: no more than itself."""

    name: str
    marks: tuple[str, ...]
    pattern: str


_OWN = "(?<![A-Za-z0-9])"  # no part of a longer word
_RANDOM = r"(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]"  # letters of a run that has a digit soon
_OID = r"[0-9a-f]{40}(?:[0-9a-f]{24})?\b"
_NAMES = ("password", "passwd", "passphrase", "pwd", "secret", "token", "key", "credential")

RULES: tuple[Rule, ...] = (
    Rule(
        "private key", ("PRIVATE KEY",),
        r"(?s:-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*))",
    ),
    Rule(
        "github token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        rf"{_OWN}(?:gh[pousr]_[A-Za-z0-9]{{20,255}}|github_pat_[A-Za-z0-9_]{{20,255}})",
    ),
    Rule("gitlab token", ("gl",), rf"{_OWN}gl(?:pat|ptt|rt|cbt|dt|ft|oas|soat|agent|ffct|imt)-[A-Za-z0-9_.-]{{16,255}}"),
    Rule("slack token", ("xox", "xapp-"), rf"{_OWN}x(?:ox[a-z]|app)-[A-Za-z0-9-]{{8,255}}"),
    Rule(
        "slack webhook", ("hooks.slack",),
        r"\bhooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{8,255}",
    ),
    Rule(
        "discord webhook", ("/webhooks/",), r"\bdiscord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/[A-Za-z0-9/_-]{6,255}"
    ),
    Rule("teams webhook", ("webhook.office.com/",), r"\bwebhook\.office\.com/[^\s\"'<>]{8,500}"),
    Rule("google chat webhook", ("chat.googleapis.com/",), r"\bchat\.googleapis\.com/v1/spaces/[^\s\"'<>]{8,500}"),
    Rule(
        "webhook address", ("hook", "maker.ifttt.com/"),
        r"\b(?:hooks\.zapier\.com/hooks/catch/[A-Za-z0-9/]{6,255}|maker\.ifttt\.com/[^\s\"'<>]{0,200}/key/[A-Za-z0-9_-]{8,255}"
        rf"|https?://[^\s/]{{1,255}}/(?:[^\s/]{{1,60}}/){{0,3}}?(?:hooks|webhooks?)/(?:[A-Za-z0-9_.-]{{1,40}}/){{0,3}}?(?!{_OID})"
        rf"{_RANDOM}{{20,255}})",
    ),
    Rule("signed address", ("sig=", "Signature="), r"[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=[A-Za-z0-9%_-]{16,500}"),
    Rule("aws access key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    Rule(
        "google api key", ("AIza", "ya29.", "GOCSPX-"),
        rf"{_OWN}(?:AIza[A-Za-z0-9_-]{{35}}|ya29\.[A-Za-z0-9_-]{{20,2000}}|GOCSPX-[A-Za-z0-9_-]{{20,60}})",
    ),
    Rule(
        "api key", ("sk-",),
        rf"{_OWN}sk-[A-Za-z0-9_-]{{0,40}}?(?:{_RANDOM}{{16,255}}|[A-Za-z0-9]{{40,255}})[A-Za-z0-9_-]{{0,255}}",
    ),
    Rule(
        "stripe key", ("k_live_", "k_test_", "whsec_"),
        rf"{_OWN}[rs]k_(?:live|test)_[A-Za-z0-9]{{10,255}}|{_OWN}whsec_[A-Za-z0-9+/=]{{20,255}}",
    ),
    Rule("sendgrid key", ("SG.",), rf"{_OWN}SG\.[A-Za-z0-9_-]{{16,128}}\.[A-Za-z0-9_-]{{16,128}}"),
    Rule("npm token", ("npm_",), rf"{_OWN}npm_[A-Za-z0-9]{{30,255}}"),
    Rule("pypi token", ("pypi-Ag",), rf"{_OWN}pypi-Ag[A-Za-z0-9_-]{{16,500}}"),
    Rule("hugging face token", ("hf_",), rf"{_OWN}hf_[A-Za-z0-9]{{30,255}}"),
    Rule("twilio key", ("SK",), rf"{_OWN}SK[0-9a-f]{{32}}\b"),
    Rule(
        "cloud token",
        (
            "_v1_", "dckr_", "shp", "sq0", "hvs.", "hvb.", "dapi", "glsa_", "glc_", "lin_api_", "ntn_", "PMAK-", "NRAK-", "dp.pt.",
            "pscale_", "sntry", "ATATT3", "figd_", "-us",
        ),
        rf"{_OWN}(?:do[opr]_v1_[0-9a-f]{{32,128}}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{{20,255}}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{{32}}"
        r"|sq0[a-z]{3}-[A-Za-z0-9_-]{20,255}|hv[sb]\.[A-Za-z0-9_-]{20,500}|dapi[0-9a-f]{32}|gl(?:sa|c)_[A-Za-z0-9_=+/]{30,500}"
        r"|lin_api_[A-Za-z0-9]{30,60}|ntn_[A-Za-z0-9]{40,60}|PMAK-[0-9a-f]{24}-[0-9a-f]{34}|NRAK-[A-Z0-9]{27}"
        r"|dp\.pt\.[A-Za-z0-9]{40,44}|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{30,64}|sntry[su]_[A-Za-z0-9_=+/]{30,500}"
        r"|ATATT3[A-Za-z0-9_=-]{50,500}|figd_[A-Za-z0-9_-]{30,60}|[0-9a-f]{32}-us\d{1,2}\b)",
    ),
    Rule("age key", ("AGE-SECRET-KEY-",), r"\bAGE-SECRET-KEY-1[A-Z0-9]{20,255}"),
    Rule("telegram token", (":AA",), r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,255}"),
    Rule(
        "json web token", ("eyJ",),
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,8000}(?:\.[A-Za-z0-9_-]{0,2000})?",
    ),
    Rule("password in an address", ("://",), r"(?<=://)[^\s/@:]{0,255}:[^\s/@]{1,255}(?=@)"),
    Rule("token in an address", ("://",), r"(?<=://)(?=[A-Za-z_-]{0,100}\d)[A-Za-z0-9_-]{20,255}(?=@)"),
    Rule(
        "bearer token", ("bearer ",), r"(?i:(?<=\bbearer ))(?=[A-Za-z._~+/=-]{0,200}\d)[A-Za-z0-9._~+/=-]{12,4000}"
    ),
    Rule(
        "basic credentials", ("basic ",),
        r"(?i:(?<=\bbasic ))"
        r"(?:(?=[a-z0-9]{0,60}[A-Z])(?=[A-Za-z]{0,60}\d)[A-Za-z0-9+]{12,500}={0,2}(?![A-Za-z0-9/.-])|[A-Za-z0-9+/]{10,500}={1,2})",
    ),
)  # fmt: skip

NAMED = Rule(
    "value that is called a secret", _NAMES,
    r"(?i:(?:passwords?|passwd|passphrase|pwd|secrets?|tokens?|api[_-]?keys?|access[_-]?keys?|account[_-]?key|private[_-]?key"
    r"|credentials?)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)([^\s\"',;]{6,255})",
)  # fmt: skip
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_NO_VALUE = re.compile(r"[$<{(%\[*/.~#@]|\w{1,20}://|[\w./-]{0,200}\.[A-Za-z]{1,5}$|[\w.-]{1,80}/|file:|\w{1,40}\(")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _near(text: str) -> Iterator[Rule]:
    """Yield the rules of which a mark stands in the text."""
    small = text.lower()
    for rule in RULES:
        if any(mark in text or mark in small for mark in rule.marks):
            yield rule


def find(text: str) -> str:
    """Return the name of a rule that something in the text matches; "" where nothing looks like a secret."""
    for rule in _near(text):
        if _compiled(rule.pattern).search(text):
            return rule.name
    return NAMED.name if any(_is_random(value) for _, value in _named(text)) else ""


def hide(text: str, mark: Callable[[str], str] = "[hidden: {}]".format, *, doubtful: bool = False) -> str:
    """Return the text without what looks like a secret. `mark`: what stands in its place, by the rule's name; `doubtful`: hide
    every value that is called a secret, also one that is likely to be a plain word.
    """
    for rule in _near(text):
        parts = _compiled(rule.pattern).split(text)  # no pattern has a group that catches
        text = mark(rule.name).join(parts)
    for start, value in reversed(list(_named(text))):
        if doubtful or _is_random(value):
            text = text[:start] + mark(NAMED.name) + text[start + len(value) :]
    return text


def _named(text: str) -> Iterator[tuple[int, str]]:
    """Yield the values that are called a secret, and where each begins."""
    small = text.lower()
    if ("=" in text or ":" in text) and any(mark in small for mark in NAMED.marks):
        for found in _compiled(NAMED.pattern).finditer(text):
            yield found.start(1), found[1]


def _is_random(value: str) -> bool:
    """Return True for a value that nobody would write as a word: no path, variable, call or id of ours, and one of its parts has
    eight characters or more with letters and digits among them.
    """
    value = value.rstrip(".)]}>`!?")
    if _ULID.fullmatch(value) or _NO_VALUE.match(value):
        return False
    return any(
        len(part) >= 8 and any(char.isdigit() for char in part) and any(char.isalpha() for char in part)
        for part in re.split(r"[-_.:]", value)
    )


# --- before something goes onto the branch ---------------------------------------------------------------------------------

Manner = Literal["refuse", "hide", "allow"]
"""What is done about a secret: what somebody typed is refused, what a program says by itself has it hidden."""

_WORDS = frozenset(
    {
        "subject", "message", "details", "reason", "phase", "done", "notes", "next", "next_phase", "next_action", "blockers",
        "tests", "work", "role", "capabilities", "action", "target", "progress", "blocked_by", "files_touched",
        "estimated_duration",
    }
)  # fmt: skip
"""Fields of commands that hold words. In any other, such as a name, nothing can be hidden without meaning something else."""
_UNASKED = frozenset({"repo", "host", "agent"})  # fields that nobody types


def cleared(fields: Mapping[str, Any], manner: Manner, *, branch: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return a command's fields as they may go onto the branch, and the rules by which something was hidden. `branch`: the one
    that is told unasked; it is left out then. Raises BadInput that names the field and the rule, and never the secret.
    """
    if manner == "allow":
        return dict(fields), []
    found, rules = {}, []
    for key, value in fields.items():
        rule = next((name for text in _texts(value) if (name := find(text))), "")
        if not rule:
            found[key] = value
        elif key == "branch" and (manner == "hide" or value == branch):
            found[key] = None
        elif key in _UNASKED or (manner == "hide" and key in _WORDS):
            found[key] = _hidden(value)
            rules.append(rule)
        else:
            raise BadInput(
                f"what looks like a secret ({rule}) stands in the {key.replace('_', ' ')}: on the branch all could read it, "
                "for ever; nothing was sent",
                hint="say where it is kept instead; what is no secret is sent with --allow-secret",
                data={"rule": rule, "field": key},
            )
    return found, rules


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        text = hide(value)
        limit = next((size for size in (200, 500) if len(value) <= size), len(text))  # of subjects, and of other lines
        return text[:limit]
    return type(value)(_hidden(one) for one in value) if isinstance(value, list | tuple) else value

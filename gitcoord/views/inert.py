"""Text of sessions made inert for a chat: it calls nobody, formats nothing, hides nothing, and shows no secret.

What a chat service could take for markup is replaced by a character that looks alike. Escaping would differ from service to
service, and one service more would be one hole more.
"""

from __future__ import annotations

import re

from gitcoord.core.names import show

_LOOKALIKES = str.maketrans(
    {"@": "＠", "<": "‹", ">": "›", "&": "＆", "[": "［", "]": "］", "`": "'", "*": "∗", "~": "∼", "|": "¦", "_": "_", "\\": "＼"}
)

_SECRETS = [
    # Private keys, whole or cut off.
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|.*)",
    # GitHub, GitLab.
    r"\bgh[pousr]_[A-Za-z0-9]{20,255}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,255}",
    r"\bgl(?:pat|ptt|rt|cbt|dt|ft|oas|soat|agent)-[A-Za-z0-9_.-]{16,255}",
    # Slack: tokens and webhooks; Discord's and Teams' webhooks.
    r"\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{8,255}",
    r"\bhooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]+",
    r"\bdiscord(?:app)?\.com/api/webhooks/[A-Za-z0-9/_-]+",
    r"\bwebhook\.office\.com/[^\s\"'<>]+",
    r"[?&]sig=[A-Za-z0-9%_-]{16,}",
    # Clouds and services.
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\bya29\.[A-Za-z0-9_-]{20,}",
    r"\bsk-[A-Za-z0-9_-]{16,255}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"\b(?:npm_|pypi-|hf_|dop_v1_|dckr_pat_|shpat_|sq0[a-z]{3}-|AGE-SECRET-KEY-|vault:v1:|hvs\.)[A-Za-z0-9_-]{16,255}",
    r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,}",
    # JSON web tokens; credentials in addresses and headers; anything that is called a secret.
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    r"(?<=://)[^\s/@:]{0,255}:[^\s/@]{1,255}(?=@)",
    r"(?i)(?<=\bbearer )[A-Za-z0-9._~+/=-]{8,}",
    r"(?i)(?<=\bbasic )[A-Za-z0-9+/=]{12,}",
]
_SECRET = re.compile("|".join(f"(?:{one})" if not one.startswith("(?i)") else f"(?i:{one[4:]})" for one in _SECRETS), re.DOTALL)
_NAMED = re.compile(
    r"(?i)\b([\w.-]{0,40}(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?"
    r"[\"']?\s{0,3}[=:]\s{0,3}[\"']?)([^\s\"',;]{6,})"
)
HIDDEN = "(hidden)"
_READ = 8000  # characters of a text that are looked at: a line shows a few hundred


def redact(text: str) -> str:
    """The text without what looks like a secret: known forms of tokens, and values that are called a password, token or key."""
    return _NAMED.sub(rf"\g<1>{HIDDEN}", _SECRET.sub(HIDDEN, text))


def has_secret(text: str) -> bool:
    """Whether something in it looks like a secret."""
    return redact(text) != text


def inert(text: str, limit: int) -> str:
    """The text as one line for a chat, at most `limit` characters: no mention, no markup, nothing invisible, no secret."""
    line = " ".join(redact(text[:_READ]).split())
    line = redact(show(line, _READ))
    line = line.translate(_LOOKALIKES)
    # What a chat makes of underscores depends on what stands around them; inside of a word it leaves them alone.
    line = re.sub(r"(?<![A-Za-z0-9_])_|_(?![A-Za-z0-9_])|__+", lambda found: "＿" * len(found[0]), line)
    line = re.sub(r"^(#+)(?= )|^[-+](?= )", lambda found: "＃" if found[0].startswith("#") else "–", line)
    return line if len(line) <= limit else line[: max(0, limit - 1)] + "…"

"""Text of sessions made inert for a chat: it calls nobody, formats nothing, hides nothing, and shows no secret.

What a chat service could take for markup is replaced by a character that looks alike. Escaping would differ from service to
service, and one service more would be one hole more.
"""

from __future__ import annotations

import re

from gitcoord.core import secrecy
from gitcoord.core.names import show, unblank

_LOOKALIKES = str.maketrans(
    {"@": "＠", "<": "‹", ">": "›", "&": "＆", "[": "［", "]": "］", "`": "'", "*": "∗", "~": "∼", "|": "¦", "_": "_", "\\": "＼"}
)

HIDDEN = "(hidden)"
_READ = 8000  # characters of a text that are looked at: a line shows a few hundred


def redact(text: str) -> str:
    """The text without what looks like a secret: known forms of tokens, and values that are called a password, token or key."""
    return secrecy.hide(text, lambda rule: HIDDEN, doubtful=True)


def has_secret(text: str) -> bool:
    """Whether something in it looks like a secret."""
    return redact(text) != text


def inert(text: str, limit: int) -> str:
    """The text as one line for a chat, at most `limit` characters: no mention, no markup, nothing invisible, no secret."""
    line = unblank(redact(text[:_READ]))
    line = redact(show(line, _READ))
    line = line.translate(_LOOKALIKES)
    # What a chat makes of underscores depends on what stands around them; inside of a word it leaves them alone.
    line = re.sub(r"(?<![A-Za-z0-9_])_|_(?![A-Za-z0-9_])|__+", lambda found: "＿" * len(found[0]), line)
    line = re.sub(r"^(#+)(?= )|^[-+](?= )", lambda found: "＃" if found[0].startswith("#") else "–", line)
    return line if len(line) <= limit else line[: max(0, limit - 1)] + "…"

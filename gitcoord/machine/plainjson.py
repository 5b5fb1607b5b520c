"""JSON as the library reads it, without what the library loads besides (`re`, enumerations): four milliseconds of each hook."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Rules:
    """How the library's scanner reads by default."""

    strict, object_hook, object_pairs_hook, parse_float, parse_int, parse_constant = True, None, None, float, int, float


def loads(data: bytes) -> "Any":
    """Return the value. Raises an Exception for what is no JSON in UTF-8, and where this Python has no such scanner."""
    from _json import make_scanner  # the library's own, in C

    text = data.decode("utf-8")
    start = len(text) - len(text.lstrip(" \t\n\r"))
    value, end = make_scanner(_Rules)(text, start)  # type: ignore[arg-type]  # it looks at these names only
    if text[end:].strip(" \t\n\r"):
        raise ValueError("there is more than one value")
    return value

"""What the text for hooks in shell (`guard.pathspecs`, `guard.cache`) says of one file, for a hook that loads nearly nothing."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE = 1 << 16


def is_free(folder: str, path: str, session: str) -> bool:
    """Return True if it is plain that no other session holds that file; False where the program has to look.

    folder: our folder of the clone.
    path: relative to the root.
    """
    if not path.isascii() or not path.isprintable():  # it may be spelled in several ways
        return False
    memories = [name for name in os.listdir(folder) if name.startswith("checked-") and name.endswith(".json")]
    if len(memories) != 1:
        return False
    text = memories[0].removeprefix("checked-").removesuffix(".json")
    first, *lines, last, end = _read(os.path.join(folder, f"held-{text}.txt")).split("\n")
    words = first.split(" ")
    if words[:3] != ["gitcoord", "leases", "1"] or len(words) != 4 or (last, end) != ("end", ""):
        return False
    if not os.path.samefile(os.path.join(folder, memories[0]), os.path.join(folder, words[3])):
        return False  # it was made from another view
    return not any(_may_name(line, path) for line in _of_others(lines, session))


def _of_others(lines: list[str], session: str) -> "Iterator[str]":
    holder = ""
    for line in lines:
        if line.startswith("@"):
            holder = line[1:]
        elif not holder or holder != session:
            yield line


def _may_name(line: str, path: str) -> bool:
    """Return True if that pathspec may name the file."""
    magic, _, name = line.partition(")")
    if magic not in {":(top,literal", ":(top,literal,icase", ":(top,glob", ":(top,glob,icase"}:
        return True
    if magic.endswith("icase"):
        name, path = name.lower(), path.lower()
    if magic.startswith(":(top,literal"):
        return path == name or path.startswith(f"{name}/")
    return path == "".join(_unescaped(name))


def _unescaped(name: str) -> "Iterator[str]":
    """The letters of a pattern that matches exactly one name: those behind a backslash stand for themselves."""
    letters = iter(name)
    for letter in letters:
        yield next(letters, "") if letter == "\\" else letter


def _read(path: str) -> str:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(handle, _SIZE).decode("ascii")
    finally:
        os.close(handle)

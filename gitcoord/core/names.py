"""Names and texts: what a session, a resource, a line and a text may be. Parsed once, at the border.

Two sets of rules live here. The `parse_*` functions are *admission*: they bind whoever writes and may use Unicode
tables. The `is_*` functions are *validity*: byte rules only, the same for every reader for ever (protocol, section 10).
"""

from __future__ import annotations

import posixpath
import re
import shlex
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from gitcoord.core.marks import thinned
from gitcoord.core.values import is_oid
from gitcoord.errors import BadInput

SUBJECT_LIMIT = 200  # characters: a subject is one line of a list
LINE_LIMIT = 500  # characters: any other one-line field (phase, next action, …)
TEXT_LIMIT = 64 * 1024  # bytes of UTF-8: a message's text
NAME_LIMIT = 512  # bytes of UTF-8: a resource's name
BRANCH_LIMIT = 250  # characters: a code branch's name
REASON_LIMIT = 200  # characters: why a commit is ignored

_SESSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
# Not what a file or folder below `claims/` can end in: a repository's folder lies there beside them.
_REPO = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?)(?<!\.claim)(?<!\.d)(?<!\.lock)//(.+)", re.ASCII)
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}", re.ASCII)
OWN_ID = 64  # characters of an id that a caller chooses: what an event makes has its id and a number behind it
_RESERVED = frozenset({"broadcast", "anyone", "human", "gitcoord"})
_WINDOWS = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})

# C0, DEL, C1; then what has no glyph but reorders, joins or hides text: bidi, zero-width, fillers, line separators, soft
# hyphen, annotation anchors, tags, the selectors of plane 14. Not the two selectors that choose an emoji's look.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_HIDING = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    r"\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff"
)
UNSAFE = re.compile(f"[{_CONTROL}{_HIDING}]")
"""Characters that no one-line field may hold, and that no sink prints raw."""
_FILE = re.compile(r"\bfile:(?!:|/|[A-Za-z0-9][A-Za-z0-9._-]*//)")
_UNSAFE_IN_LINE = re.compile(f"[{_CONTROL}\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Blanks and ends of lines, spelled here: `str.split` and `str.splitlines` ask Python's own tables.
_BLANKS = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_BLANK = re.compile(f"[{_BLANKS}]+")
_LINE_END = re.compile(r"\r\n|[\n-\r\x1c-\x1e\x85\u2028\u2029]")

# What `git check-ref-format --branch` refuses, and a dash in front: blanks and marks of git's own anywhere; a part that is empty,
# begins with a dot or ends in ".lock"; a dot at the end; "@" alone, "@{", "..".
_NO_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\A[-/]|\A@\Z|(?:\A|/)\.|\.lock(?:/|\Z)|[./]\Z", re.ASCII)


def is_session_name(text: str) -> bool:
    """Whether `text` is a session's name by the format's rules."""
    return bool(
        _SESSION.fullmatch(text)
        and not text.endswith((".", ".lock"))
        and text not in _RESERVED
        and text.split(".")[0] not in _WINDOWS
    )


def is_resource_type(text: str) -> bool:
    """Whether `text` is a resource type."""
    return bool(_TYPE.fullmatch(text))


def is_line(text: str, limit: int = LINE_LIMIT) -> bool:
    """Whether `text` is one line of at most `limit` characters, without control characters."""
    return len(text) <= limit and not _UNSAFE_IN_LINE.search(text)


def is_text(text: str) -> bool:
    """True if `text` is UTF-8 of at most 64 KB; what must not lie raw in a commit is escaped there."""
    return len(text) <= TEXT_LIMIT and not _SURROGATE.search(text) and len(text.encode()) <= TEXT_LIMIT


def is_code_branch(text: str) -> bool:
    """True if git takes `text` as a branch's name, no program can take it for an option, and it shows what it is."""
    return 0 < len(text) <= BRANCH_LIMIT and not _NO_BRANCH.search(text) and not UNSAFE.search(text)


_WEB = re.compile(r"(?:github\.com|gitlab\.com|codeberg\.org|bitbucket\.org)(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){2,6}", re.ASCII)
_WEB_URL = re.compile(r"(?:[a-z+]+://)?(?:[^/@:]+@)?([^/:@]+)[/:](.+?)(?:\.git)?/?", re.ASCII)


def are_branch_folders(text: str) -> bool:
    """True if `text` names folders of code branches, such as `claude/* codex/*`: one to eight, one blank between two."""
    folders = text.split(" ")
    return 1 <= len(folders) <= 8 and all(one.endswith("/*") and is_code_branch(one.removesuffix("*") + "x") for one in folders)


def is_web(text: str) -> bool:
    """True if `text` is where a known host shows a repository, such as `github.com/acme/app`, or `none`."""
    return text == "none" or _WEB.fullmatch(text) is not None


def web_of(url: str) -> str:
    """Return where a known host shows the repository of that URL, as `is_web` takes it; "" for any other."""
    found = _WEB_URL.fullmatch(url.strip())
    text = f"{found[1].lower()}/{found[2]}" if found else ""
    return text if is_web(text) else ""


def branch_or_none(text: str | None) -> str | None:
    """Return the code branch as an event may carry it; None for none, and for a name that would not be safe to paste."""
    return text if text and is_code_branch(text) else None


def is_detail(text: str) -> bool:
    """True if `text` is one line of the form `key=value`."""
    return is_line(text) and text.find("=") > 0


def is_ignored(text: str) -> bool:
    """True if `text` names a commit and says, in one bounded line that hides and moves nothing, why it is ignored."""
    oid, blank, reason = text.partition(" ")
    return is_oid(oid) and bool(blank) and 0 < len(reason) <= REASON_LIMIT and not UNSAFE.search(reason)


def is_resource_name(text: str) -> bool:
    """Whether `text` is one line of 1 to 512 bytes."""
    return bool(text) and is_line(text, NAME_LIMIT) and len(text.encode("utf-8", "surrogatepass")) <= NAME_LIMIT


def is_id(text: str) -> bool:
    """Whether `text` can be an operation's id."""
    return bool(_ID.fullmatch(text))


def _describe(char: str) -> str:
    return f"U+{ord(char):04X}"


def parse_session(text: str) -> str:
    """The session name in `text`. Raises BadInput that says what is wrong with it."""
    if is_session_name(text):
        return text
    shown = show(text, 60)
    if text in _RESERVED:
        raise BadInput(f"the name {shown!r} is reserved", hint="choose another name")
    if _SESSION.fullmatch(text) and text.split(".")[0] in _WINDOWS:
        raise BadInput(f"the name {shown!r} is reserved by some file systems", hint="choose another name")
    if len(text) > 64:
        raise BadInput(f"a session name has at most 64 characters, {shown!r} has {len(text)}", hint="choose a shorter name")
    raise BadInput(
        f"{shown!r} is not a session name: small ASCII letters, digits, '.', '_', '-', "
        "starting with a letter or digit, not ending in '.' or '.lock'",
        hint="for example: gitcoord start session-001",
    )


def parse_id(text: str) -> str:
    """The operation id in `text`. Raises BadInput."""
    if not is_id(text) or len(text) > OWN_ID:
        raise BadInput(f"{show(text, 60)!r} is not an operation id: 1 to 64 ASCII letters, digits, '.', '_', '-'")
    return text


def parse_line(text: str, what: str, limit: int = LINE_LIMIT) -> str:
    """The one line in `text`, NFC. Raises BadInput naming `what` and the first character that can't be taken."""
    text = unicodedata.normalize("NFC", text)
    found = UNSAFE.search(text)
    if found:
        raise BadInput(f"the {what} must be one plain line; it holds {_describe(found[0])} at character {found.start() + 1}")
    if len(text) > limit:
        raise BadInput(f"the {what} has {len(text)} characters, at most {limit} are taken")
    return text


def parse_text(text: str, what: str) -> str:
    """The text, which may have many lines. Raises BadInput when it isn't UTF-8 or over 64 KB."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadInput(f"the {what} is not valid UTF-8") from None
    if size > TEXT_LIMIT:
        raise BadInput(
            f"the {what} has {size} bytes, at most {TEXT_LIMIT} are taken",
            hint="put it into a file of the repository and name it",
        )
    return text


@dataclass(frozen=True, order=True)
class Resource:
    """What can be claimed: a type and a name; `str()` gives `file:src/api.py`.

    Where several repositories share one branch, a file's name begins with its own: `file:library//src/api.py`. No path that git
    gives has two slashes, so that the two spellings never meet; all else (`deploy:production`) is shared by the repositories.
    """

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}"

    @classmethod
    def read(cls, text: str) -> Resource:
        """The resource as events spell it. Raises ValueError (validity, not admission)."""
        kind, colon, name = text.partition(":")
        if not colon or not is_resource_type(kind) or not is_resource_name(name):
            raise ValueError(f"not a resource: {show(text, 80)!r}")
        return cls(kind, name)

    @property
    def repo(self) -> str | None:
        """The repository that a file lies in, where its name says so."""
        found = _REPO.match(self.name) if self.type == "file" else None
        return found[1] if found else None

    @property
    def path(self) -> str:
        """The name without the repository."""
        found = _REPO.match(self.name) if self.type == "file" else None
        return found[2] if found else self.name


def is_repo(text: str) -> bool:
    """True if `text` can be the name of a repository."""
    found = _REPO.fullmatch(f"{text}//.")
    return found is not None and found[1] == text


def file_in(repo: str, path: str) -> str:
    """The name of that file (relative to the root of its repository); `repo` "": there is only one."""
    return f"{repo}//{path}" if repo else path


resource_named = lru_cache(maxsize=4096)(Resource)  # asked of every lease at every event
resource_of = lru_cache(maxsize=4096)(Resource.read)


def parse_resource(kind: str, name: str, *, root: str = "", here: str = "", repo: str = "") -> Resource:
    """The resource of that type and name. A file's name is taken as git takes a path: relative to `here` (a POSIX path
    below the root, "" for the root itself) or absolute inside `root` (the work tree's POSIX path). `repo`: the repository that the
    caller stands in, where several share a branch; a file of another one is spelled `library//src/api.py`. Raises BadInput.
    """
    if not is_resource_type(kind):
        raise BadInput(
            f"{show(kind, 60)!r} is not a resource type: a small letter, then small letters, digits or '_', at most 32",
            hint="for example: gitcoord claim droplet dashboard",
        )
    name = parse_line(name, "resource's name", NAME_LIMIT)
    if kind == "file":
        other = _REPO.fullmatch(name) if repo else None
        path = file_name(other[2], root="", here="") if other else file_name(name, root=root, here=here)
        name = file_in(other[1] if other else repo, path)
    if not name.strip():
        raise BadInput("a resource's name can't be empty")
    size = len(name.encode())
    if size > NAME_LIMIT:
        raise BadInput(f"a resource's name has at most {NAME_LIMIT} bytes, this one has {size}")
    return Resource(kind, name)


def parse_named(word: str, *, root: str = "", here: str = "", repo: str = "") -> Resource:
    """The resource in one word: `TYPE:NAME`, else a file's path; see `parse_resource`. Raises BadInput."""
    prefix, colon, rest = word.partition(":")
    kind, name = (prefix, rest) if colon and rest and is_resource_type(prefix) else ("file", word)
    return parse_resource(kind, name, root=root, here=here, repo=repo)


def in_slashes(word: str) -> Resource | None:
    """The resource that `TYPE/NAME` could mean, spelled as if it were a path; None where it could mean none."""
    kind, slash, name = word.partition("/")
    return Resource(kind, name) if slash and name and kind != "file" and is_resource_type(kind) else None


def is_like_file(name: str) -> bool:
    """True if a name has what those of files have and others seldom: a dot, a folder, a star."""
    return re.search(r"[./*?]", name) is not None


def file_name(text: str, *, root: str, here: str) -> str:
    """The path relative to the root, `.` for the root itself; `:/` in front says that it is given so. Raises BadInput for one
    outside of the work tree.
    """
    if not text:
        raise BadInput("a path can't be empty")
    if text.startswith(":/"):  # git's own spelling of "from the root"
        here, text = "", text[2:].lstrip("/") or "."
    if text.startswith("/"):
        path = posixpath.normpath("/" + text.lstrip("/"))
        base = posixpath.normpath(root) if root else ""
        if not base or (path != base and not path.startswith(base.rstrip("/") + "/")):
            raise BadInput(f"{show(text, 80)!r} is outside of this work tree")
        path = posixpath.relpath(path, base)
    else:
        path = posixpath.normpath(posixpath.join(here or ".", text))
    if path == ".." or path.startswith("../"):
        raise BadInput(f"{show(text, 80)!r} is outside of this work tree", hint="name a path inside the work tree")
    return path


def unblank(text: str) -> str:
    """Return `text` as one line: each run of blanks is one space, none at the ends."""
    return _BLANK.sub(" ", text).strip(" ")


def first_line(text: str) -> str:
    """Return the first line of `text` that isn't blank, without blanks at its ends; "" where there is none."""
    return next(filter(None, map(_strip, _LINE_END.split(text))), "")


def _strip(text: str) -> str:
    return re.sub(f"\\A[{_BLANKS}]+|[{_BLANKS}]+\\Z", "", text)


def show(text: str, limit: int = LINE_LIMIT) -> str:
    """`text` made inert for one line of a terminal, cut at `limit` characters: nothing in it can move, hide or colour."""
    text = thinned(UNSAFE.sub(_inert, text[: limit * 4]))
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def counted(number: int, what: str) -> str:
    """Return how many of these there are, as people say it: "no claims", "1 claim", "3 claims"."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def word(text: str) -> str:
    """`text` as one word of a shell, for a hint: hints are pasted, and a name that another session chose must run nothing."""
    return shlex.quote(show(text, 2 * NAME_LIMIT))


def hint_from_root(hint: str) -> str:
    """A hint as it can be pasted in a folder below the root: it names files from the root."""
    return _FILE.sub("file::/", hint)


def show_text(text: str) -> str:
    """`text` made inert for a terminal, its lines and tabs kept."""
    return thinned(UNSAFE.sub(lambda match: match[0] if match[0] in "\n\t" else _inert(match), text))


def _inert(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xE0000 <= code <= 0xE007F:
        return ""  # tag characters: invisible everywhere, used only to hide text from people
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

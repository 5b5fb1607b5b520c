"""Names and texts: what is taken, what is refused and why, and that nothing shown can move, hide or colour."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import UNSAFE, wild_texts

from gitcoord.core import names
from gitcoord.core.names import Resource, is_repo, parse_resource, parse_session
from gitcoord.errors import BadInput

ROOT = "/tree"

# --- session names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a", "0", "session-001", "a.b", "a_b", "a-b", "x" * 64, "lock", "a.lock.b", "conx", "con-1", "com", "com10",
     "anyone-1", "humans", "a..b", "a-"],
)  # fmt: skip
def test_session_name_is_taken(name: str) -> None:
    assert parse_session(name) == name


# The hostile corpus, as a session's name: the expected answer is always 2, with what is wrong with it.
HOSTILE_SESSIONS = [
    "../../etc/passwd", "..", ".", "", ".git", ".GIT", ".git.", ".git ", ".g\u200cit", ".gitmodules", ".gitattributes",
    ".mailmap", "a//b", "a/./b", "a/", "a\\b", "C:\\x", "\\\\srv\\share", "trailing.", "trailing ", " leading",
    "file:stream", "Session-1", "\u00e9", "e\u0301", "line\nbreak", "session-1\n", "tab\there", "nul\x00", "del\x7f",
    "\udcff\udcfe", "-rf", "--help", "--upload-pack=x", "_x", "coordination/x", "a.lock", "role:x", "cap:x", "repo:x",
    "\u017fession", "\uff53ession", "session-\u0663", "\u212a", "a\u200bb", "a\u202eb", "a b", "a@b", "a*", "~a", "x" * 65,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_SESSIONS, ids=ascii)
def test_hostile_session_name_is_bad_input(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_session(name)
    assert refused.value.exit_code == 2
    assert "session name" in refused.value.message
    assert not UNSAFE.search(refused.value.message)
    assert not names.is_session_name(name)


@pytest.mark.parametrize("name", ["broadcast", "anyone", "human", "gitcoord"])
def test_word_of_the_protocol_is_no_session(name: str) -> None:
    with pytest.raises(BadInput, match="reserved"):
        parse_session(name)
    assert parse_session(f"{name}-1") == f"{name}-1"


@pytest.mark.parametrize("name", ["con", "prn", "aux", "nul", "com1", "com9", "lpt1", "lpt9", "con.txt", "aux.a.b"])
def test_name_that_windows_reserves_is_no_session(name: str) -> None:
    with pytest.raises(BadInput, match="reserved"):
        parse_session(name)


def test_two_sessions_never_differ_in_case_only() -> None:
    assert parse_session("session-1") == "session-1"
    for name in ("Session-1", "SESSION-1", "session-\u2160"):
        with pytest.raises(BadInput):
            parse_session(name)


@given(wild_texts)
def test_session_name_is_safe_wherever_it_stands(text: str) -> None:
    if names.is_session_name(text):
        assert text.isascii()
        assert text == text.lower()
        assert text[0].isalnum()
        assert not set(text) & set('/\\:*?"<>| \n\0@{}~^[]')


# --- operation ids -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "01JD0000000000000000000000", "Deploy-2025.11_15", "x" * 64])
def test_operation_id_is_taken(text: str) -> None:
    assert names.parse_id(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "_a", "a/b", "a b", "a\n", "\u00e9", "x" * 65, "a:b", "../a"], ids=ascii)
def test_hostile_operation_id_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        names.parse_id(text)


# --- resource types ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "droplet", "a", "a" * 32, "x_1", "api_key"])
def test_resource_type_is_taken(kind: str) -> None:
    assert parse_resource(kind, "x", root=ROOT).type == kind


@pytest.mark.parametrize(
    "kind", ["", "File", "1a", "_a", "a-b", "a.b", "a b", "a/b", "a:b", "a" * 33, "\u00e9", "a\n", "..", "-a"], ids=ascii
)
def test_hostile_resource_type_is_bad_input(kind: str) -> None:
    with pytest.raises(BadInput, match="resource type"):
        parse_resource(kind, "x", root=ROOT)


def test_type_and_name_are_two_things() -> None:
    # Glued together (`type-name`), a type `a` named `b-c` and a type `a-b` named `c` would be one resource.
    assert parse_resource("a", "b-c") != Resource("a_b", "c")
    with pytest.raises(BadInput):
        parse_resource("a-b", "c")


# --- resource names ----------------------------------------------------------------------------------------------------

# name, as a droplet, as a file: the stored name, or None for exit 2.
HOSTILE_RESOURCES: list[tuple[str, str | None, str | None]] = [
    ("../../etc/passwd", "../../etc/passwd", None),
    ("..", "..", None),
    ("", None, None),
    (".git", ".git", ".git"),
    (".git.", ".git.", ".git."),
    (".g\u200cit", None, None),
    (".gitattributes", ".gitattributes", ".gitattributes"),
    ("a//b", "a//b", "a/b"),
    ("a/./b", "a/./b", "a/b"),
    ("a/", "a/", "a"),
    ("a\\b", "a\\b", "a\\b"),
    ("C:\\x", "C:\\x", "C:\\x"),
    ("trailing.", "trailing.", "trailing."),
    ("file:stream", "file:stream", "file:stream"),
    ("e\u0301", "\u00e9", "\u00e9"),
    ("\u00e9", "\u00e9", "\u00e9"),
    ("two\nlines", None, None),
    ("tab\there", None, None),
    ("nul\x00", None, None),
    ("del\x7f", None, None),
    ("\x85", None, None),
    ("\udcff\udcfe", None, None),
    ("-rf", "-rf", "-rf"),
    ("--upload-pack=x", "--upload-pack=x", "--upload-pack=x"),
    ("\u202egnp.exe", None, None),
    ("a\u200bb", None, None),
    ("a\ufeff", None, None),
    ("a\u2028b", None, None),
    ("a\u00adb", None, None),
    ("a\U000e0041", None, None),
    ("app/[id]/page.tsx", "app/[id]/page.tsx", "app/[id]/page.tsx"),
    ("$(touch x)", "$(touch x)", "$(touch x)"),
    ("<script>", "<script>", "<script>"),
    ("\U0001f642", "\U0001f642", "\U0001f642"),
    ("/etc/passwd", "/etc/passwd", None),
]


@pytest.mark.parametrize(("text", "droplet", "file"), HOSTILE_RESOURCES, ids=[ascii(row[0]) for row in HOSTILE_RESOURCES])
def test_hostile_resource_name(text: str, droplet: str | None, file: str | None) -> None:
    for kind, expected in (("droplet", droplet), ("file", file)):
        if expected is None:
            with pytest.raises(BadInput) as refused:
                parse_resource(kind, text, root=ROOT)
            assert refused.value.exit_code == 2
            assert not UNSAFE.search(refused.value.message)
        else:
            assert parse_resource(kind, text, root=ROOT) == Resource(kind, expected)


def test_refusal_names_the_character_and_its_place() -> None:
    with pytest.raises(BadInput, match=r"U\+202E at character 3"):
        parse_resource("droplet", "ab\u202ec")


@pytest.mark.parametrize(("name", "fits"), [("a" * 512, True), ("a" * 513, False), ("\u00e9" * 256, True), ("\u00e9" * 257, False)])
@pytest.mark.parametrize("kind", ["droplet", "file"])
def test_resource_name_has_at_most_512_bytes(kind: str, name: str, fits: bool) -> None:
    if fits:
        assert parse_resource(kind, name, root=ROOT).name == name
    else:
        with pytest.raises(BadInput):
            parse_resource(kind, name, root=ROOT)


@pytest.mark.parametrize("length", [1, 499, 500, 501, 511, 512])
def test_what_admission_takes_validity_reads(length: int) -> None:
    taken = parse_resource("droplet", "a" * length)
    assert Resource.read(str(taken)) == taken


@given(st.text(max_size=30))
def test_whatever_admission_takes_validity_reads(text: str) -> None:
    try:
        taken = parse_resource("droplet", text)
    except BadInput:
        return
    assert Resource.read(str(taken)) == taken
    assert unicodedata.is_normalized("NFC", taken.name)
    assert not UNSAFE.search(taken.name)


@pytest.mark.parametrize("text", ["", "file", "file:", ":a", "File:a", "a-b:c", "droplet:a\nb", f"droplet:{'a' * 513}"])
def test_malformed_resource_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="not a resource"):
        Resource.read(text)


# --- file paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "text", "stored"),
    [
        ("", "src/api.py", "src/api.py"),
        ("src", "api.py", "src/api.py"),
        ("src", "../README.md", "README.md"),
        ("src/deep", "../../README.md", "README.md"),
        ("src", ".", "src"),
        ("", ".", "."),
        ("src", "..", "."),
        ("", "src/", "src"),
        ("", "./src", "src"),
        ("", "src//api.py", "src/api.py"),
        ("", "src/./api.py", "src/api.py"),
        ("", "src/../api.py", "api.py"),
        ("", "/tree", "."),
        ("", "/tree/", "."),
        ("src", "/tree/api.py", "api.py"),
        ("", "/tree/src/../api.py", "api.py"),
        ("", "//tree/src", "src"),  # git takes it for /tree/src
        ("", "src/**/*.py", "src/**/*.py"),
        ("app", "[id]/page.tsx", "app/[id]/page.tsx"),
        ("", "with blank.txt", "with blank.txt"),
        ("", "...", "..."),
        ("", "..a/b", "..a/b"),
    ],
)
def test_path_is_taken_as_git_takes_it(here: str, text: str, stored: str) -> None:
    assert parse_resource("file", text, root=ROOT, here=here).name == stored


@pytest.mark.parametrize(
    ("here", "text"),
    [("", ".."), ("", "../x"), ("src", "../../x"), ("", "src/../../x"), ("", "/etc/passwd"), ("", "/"), ("", "/treehouse/x"),
     ("", "/tree/../x"), ("src", "/tree/../tre"), ("", "//etc/passwd")],
)  # fmt: skip
def test_path_outside_of_the_work_tree_is_refused(here: str, text: str) -> None:
    with pytest.raises(BadInput, match="outside"):
        parse_resource("file", text, root=ROOT, here=here)


def test_absolute_path_without_a_work_tree_is_refused() -> None:
    with pytest.raises(BadInput, match="outside"):
        parse_resource("file", "/tree/a", root="")
    assert parse_resource("file", "a", root="").name == "a"


def test_work_tree_may_be_the_root_of_the_file_system() -> None:
    assert parse_resource("file", "/a/b", root="/").name == "a/b"


def test_path_of_other_types_is_only_a_name() -> None:
    assert parse_resource("droplet", "../x", root=ROOT, here="src").name == "../x"


@given(
    st.lists(st.sampled_from(["a", "b", ".", "..", "", "c d"]), max_size=6).map("/".join),
    st.lists(st.sampled_from(["a", "b"]), max_size=3).map("/".join),
)
def test_stored_path_never_leaves_the_root(text: str, here: str) -> None:
    try:
        name = parse_resource("file", text, root=ROOT, here=here).name
    except BadInput:
        return
    parts = name.split("/")
    assert not name.startswith("/")
    assert ".." not in parts
    assert name == "." or not {"", "."} & set(parts)
    assert parse_resource("file", f"{ROOT}/{name}", root=ROOT).name == name


# --- lines and texts ---------------------------------------------------------------------------------------------------


def test_line_is_stored_composed() -> None:
    assert names.parse_line("caf" + "e\u0301", "phase") == "caf\u00e9"


@pytest.mark.parametrize("char", [*map(chr, range(32)), "\x7f", "\x80", "\x9b", "\u200b", "\u200e", "\u2028", "\u202e", "\u2066",
                                  "\ufeff", "\u00ad", "\U000e0001", "\U000e007f", "\ud800"], ids=ascii)  # fmt: skip
def test_line_holds_nothing_that_hides_or_moves_text(char: str) -> None:
    with pytest.raises(BadInput, match="the phase must be one plain line"):
        names.parse_line(f"a{char}b", "phase")


@pytest.mark.parametrize(("limit", "length", "fits"), [(500, 500, True), (500, 501, False), (200, 200, True), (200, 201, False)])
def test_line_has_a_limit_in_characters(limit: int, length: int, fits: bool) -> None:
    text = "\U0001f642" * length
    if fits:
        assert names.parse_line(text, "subject", limit) == text
        assert names.is_line(text, limit)
    else:
        with pytest.raises(BadInput, match="the subject has"):
            names.parse_line(text, "subject", limit)
        assert not names.is_line(text, limit)


@pytest.mark.parametrize("text", ["\ud800", "a\udcff", "\udfffb"], ids=ascii)
def test_what_is_not_utf8_is_neither_a_line_nor_a_name(text: str) -> None:
    assert not names.is_line(text)
    assert not names.is_resource_name(text)
    assert names.is_line("caf\u00e9")
    assert names.is_resource_name("caf\u00e9")


@given(wild_texts)
def test_line_that_admission_takes_is_valid(text: str) -> None:
    try:
        taken = names.parse_line(text, "phase")
    except BadInput:
        return
    assert names.is_line(taken)
    taken.encode()


@pytest.mark.parametrize(
    ("text", "fits"),
    [("a" * 65536, True), ("a" * 65537, False), ("\u00e9" * 32768, True), ("\u00e9" * 32769, False), ("", True)],
    ids=["65536", "65537", "65536 in two-byte characters", "65538 in two-byte characters", "empty"],
)
def test_text_has_at_most_64_kilobytes(text: str, fits: bool) -> None:
    if fits:
        assert names.parse_text(text, "message") == text
    else:
        with pytest.raises(BadInput, match="at most 65536"):
            names.parse_text(text, "message")


def test_text_keeps_every_character() -> None:
    text = "two\nlines\r\n\t\x1b[31mred\x00 \u202e\U000e0041 \n\n"
    assert names.parse_text(text, "message") == text


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BadInput, match="not valid UTF-8"):
        names.parse_text("a\udcffb", "message")


# --- showing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b]8;;http://x\x1b\\text", "\\x1b]8;;http://x\\x1b\\text"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb", "a\\x0db"),
        ("a\x08b", "a\\x08b"),
        ("a\x7fb", "a\\x7fb"),
        ("\u202eevil", "\\u202eevil"),
        ("a\u200bb", "a\\u200bb"),
        ("a\nb", "a\\x0ab"),
        ("\ud800", "\\ud800"),
        ("plain \U0001f642 text", "plain \U0001f642 text"),
    ],
    ids=ascii,
)
def test_unsafe_character_is_shown_as_its_code(text: str, shown: str) -> None:
    assert names.show(text) == shown


def test_tag_characters_are_not_shown_at_all() -> None:
    assert names.show("a" + "".join(chr(0xE0000 + ord(char)) for char in "run this") + "b") == "ab"


@given(wild_texts, st.integers(1, 80))
def test_shown_line_leaves_nothing_unsafe(text: str, limit: int) -> None:
    shown = names.show(text, limit)
    assert not UNSAFE.search(shown)
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= limit


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_safe_text_is_shown_as_it_is(text: str) -> None:
    assert names.show(text, 80) == text
    assert names.show_text(text) == text


def test_cut_text_ends_in_a_mark() -> None:
    assert names.show("a" * 11, 10) == "a" * 9 + "…"
    assert names.show("a" * 10, 10) == "a" * 10


@given(wild_texts)
def test_shown_text_keeps_lines_and_tabs_and_nothing_else_unsafe(text: str) -> None:
    shown = names.show_text(text)
    assert not UNSAFE.search(shown.replace("\n", "").replace("\t", ""))
    assert (shown.count("\n"), shown.count("\t")) == (text.count("\n"), text.count("\t"))


# Beyond the bidi, zero-width and tag blocks: what Unicode calls default-ignorable, and the annotation anchors. None of them has
# a glyph; the variation selectors of plane 14 are known to carry whole hidden texts, a byte a character.
INVISIBLE = [
    "\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0", "\ufff9", "\ufffa", "\ufffb", "\U0001bca0", "\U0001bca3",
    "\U0001d173", "\U0001d17a", "\U000e0080", "\U000e0100", "\U000e01ef",
]  # fmt: skip


def test_character_that_nobody_can_see_is_not_shown() -> None:
    shown = [ascii(char) for char in INVISIBLE if char in names.show(f"a{char}b") or char in names.show_text(f"a{char}b")]
    assert shown == []


def test_character_that_nobody_can_see_is_not_taken() -> None:
    taken = []
    for char in INVISIBLE:
        with contextlib.suppress(BadInput):
            taken.append(ascii(names.parse_line(f"a{char}b", "phase")))
    assert taken == []


def test_emoji_with_its_presentation_selector_is_taken_and_shown() -> None:
    assert names.show("\u26a0\ufe0f") == "\u26a0\ufe0f"
    assert names.parse_line("\u26a0\ufe0f", "phase") == "\u26a0\ufe0f"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a.py", "app//src/a.py"),
        ("../b.py", "app//b.py"),
        ("library//src/a.py", "library//src/a.py"),
        ("library//./x/../a.py", "library//a.py"),
        ("library//*.py", "library//*.py"),
        ("x.claim//a", "app//src/x.claim/a"),
        (".hidden//a", "app//src/.hidden/a"),
    ],
)
def test_in_a_hub_a_file_is_of_the_repository_that_one_stands_in_or_names(typed: str, name: str) -> None:
    found = parse_resource("file", typed, here="src", repo="app")
    assert str(found) == f"file:{name}"
    assert found == Resource.read(str(found))
    assert f"{found.repo}//{found.path}" == name


def test_in_a_hub_no_path_leads_out_of_another_repository() -> None:
    with pytest.raises(BadInput, match="outside"):
        parse_resource("file", "library//../a", repo="app")
    with pytest.raises(BadInput, match="outside"):
        parse_resource("file", "library///etc/passwd", repo="app")


def test_without_a_hub_two_slashes_are_one() -> None:
    assert str(parse_resource("file", "library//src/a.py")) == "file:library/src/a.py"


def test_only_files_are_of_a_repository() -> None:
    url = parse_resource("page", "site//index", repo="app")
    assert (str(url), url.repo, url.path) == ("page:site//index", None, "site//index")


@pytest.mark.parametrize("name", ["a", "a.b-c_d", "A" * 64])
def test_names_of_repositories(name: str) -> None:
    assert is_repo(name)


@pytest.mark.parametrize(
    "name", ["", ".a", "-a", "a/b", "a.claim", "file-x.d", "a.lock", "a.", "A" * 65, "ä", "a//b", "a//\u202eb", "a//\x1b[2J", "a\n"]
)
def test_what_is_no_name_of_a_repository(name: str) -> None:
    assert not is_repo(name)


@pytest.mark.parametrize(
    ("word", "resource"),
    [
        ("src/api.py", "file:src/api.py"),
        ("port:8080", "port:8080"),
        ("file:src/api.py", "file:src/api.py"),
        (":/src/api.py", "file:src/api.py"),
        ("port:", "file:port:"),
        ("A:b", "file:A:b"),
    ],
)
def test_one_word_names_a_resource(word: str, resource: str) -> None:
    assert str(names.parse_named(word)) == resource


def test_a_hint_read_below_the_root_names_files_from_the_root() -> None:
    assert names.hint_from_root("gitcoord claim file:src/a.py --wait") == "gitcoord claim file::/src/a.py --wait"
    assert (
        names.hint_from_root("gitcoord claim file::/a file:library//a port:1") == "gitcoord claim file::/a file:library//a port:1"
    )

"""The tree on the branch: state → files → state without a loss; a path for every name; JSON that people can read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_branch import T0, Story, hours, listing, plain
from strategies import NASTY, UNSAFE, lines, resource_names

from gitcoord.core.records import BranchRecord, Claim, Handoff, Heartbeat, Message, Record, Session
from gitcoord.core.state import State
from gitcoord.views import strictjson, tree

# The fields of each record, in the order of the protocol (section 4). A record may have more behind its place.
FIELDS = {
    Session: "session_id run_id start_seq started_at status waiting_for current_work phase progress capabilities role agent repo "
    "branch host last_heartbeat read_seq read_beyond ended_at total_duration work_completed handoff_notes",
    Heartbeat: "session_id timestamp action target phase files_touched progress next_action estimated_completion branch commit "
    "blocked_by",
    Claim: "claimed_by run_id claimed_at resource_type resource_name repo mode phase reason estimated_duration ttl_seconds "
    "renewed_at expires_at fence offered_until allow_coordination",
    Message: "id seq from to timestamp type subject message details in_reply_to thread priority status read_at expires_at",
    Handoff: "id seq from to resources branch commit done next blockers tests notes status taken_by",
}


def files_of(state: State) -> dict[str, bytes]:
    """Every file of the state."""
    return {path: tree.render(record) for path, record in tree.all_files(state).items()}


def loaded(files: dict[str, bytes], *, seq: int = 0, at: datetime = T0) -> State:
    """The state that those files give."""
    return tree.load("", listing(files), lambda names: [files.get(name) for name in names], seq=seq, at=at)


def full(text: str = "x") -> Story:
    """A branch with a record of every kind, that text in all of them."""
    story = Story.of("ann", "bob", "eve")
    story.start("zoe", role=text.split("\n")[0], capabilities=("build",))
    story.claim("ann", "src/api.py", f"droplet:{text.split(chr(10))[0] or 'x'}", reason=text)
    story.claim("bob", "droplet:shared", mode="shared")
    story.claim("eve", "droplet:shared", "droplet:next", mode="shared")
    story.release("eve", "droplet:next", done=text, next_phase="PRODUCTION")
    story.send("ann", "bob", "a subject", message=text, details=("k=v",))
    story.send("ann", "broadcast", "to all", message=text, expires_at=T0 + hours(5))
    story.take("bob", type="note")
    story.beat("ann", "building", target="t", files_touched=("a.py", "b.py"), estimated_completion=T0 + hours(2))
    story.end("zoe", done=("all",), notes=text)
    return story


# --- there and back ----------------------------------------------------------------------------------------------------


def test_every_state_of_a_story_comes_back_from_its_files() -> None:
    story = full()
    files = files_of(story.state)
    assert {path.partition("/")[0] for path in files} == {
        "gitcoord.json",
        "sessions",
        "heartbeats",
        "claims",
        "messages",
        "handoffs",
    }
    assert plain(loaded(files, seq=story.state.seq)) == plain(story.state)


@given(st.sampled_from(NASTY) | lines, st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_any_text_comes_back_from_its_file(line: str, text: str) -> None:
    record = Message(id="a", seq=1, sender="ann", to="bob", timestamp=T0, subject=line, message=text, details={line: text})
    assert tree.parse("messages", tree.render(record)) == record
    session = Session(
        session_id="ann", started_at=T0, last_heartbeat=T0, current_work=line, capabilities=(line, line), handoff_notes=text
    )
    assert tree.parse("sessions", tree.render(session)) == session


def test_files_of_each_event_add_up_to_the_state() -> None:
    story = full("two\nlines")
    for _ in range(2):
        story.wait(hours(1))
        story.beat("ann", "building", target="t")  # changes nothing but when it was heard, and its work
    story.send("ann", "bob", "done")
    files = dict[str, bytes]()
    replayed = Story()
    for happened in story.past:
        before = replayed.state
        replayed.happen(happened.event, happened.committed_at)
        for path, record in tree.changes(before, replayed.state).items():
            if record is None:
                del files[path]
            else:
                files[path] = tree.render(record)
        assert plain(loaded(files, seq=replayed.state.seq, at=replayed.state.at)) == plain(replayed.state)
        signs = loaded(files).sessions.signs()
        assert {name: one.last_heartbeat for name, one in signs} == {
            name: one.last_heartbeat for name, one in replayed.state.sessions.items()
        }
        assert files.keys() == files_of(replayed.state).keys()


def test_a_heartbeat_that_says_nothing_new_is_one_file() -> None:
    story = Story.of("ann", "bob")
    story.beat("ann", "building", target="t")
    story.wait(hours(1))
    before = story.state
    story.beat("ann", "building", target="t")
    assert set(tree.changes(before, story.state)) == {"heartbeats/ann.json"}


def test_claim_that_changes_its_mode_leaves_no_file_behind() -> None:
    story = Story.of("ann")
    story.claim("ann", "droplet:x")
    before = story.state
    story.claim("ann", "droplet:x", mode="shared")
    changed = tree.changes(before, story.state)
    assert changed["claims/droplet-x.claim"] is None
    assert isinstance(changed["claims/droplet-x.d/ann.claim"], Claim)


# --- paths -------------------------------------------------------------------------------------------------------------


def test_records_stand_where_the_protocol_says() -> None:
    story = full()
    paths = set(files_of(story.state))
    story.send("ann", "bob", "waits")
    story.send("ann", "role:builder", "waits")
    read, waits = (next(one for one in story.state.messages.values() if one.subject == text) for text in ("a subject", "waits"))
    group = next(one for one in story.state.messages.values() if one.to == "role:builder")
    paths = set(files_of(story.state))
    to_all = next(one for one in story.state.messages.values() if one.subject == "to all")
    (offer,) = story.state.handoffs.values()
    assert {
        "gitcoord.json",
        "sessions/ann.json",
        "heartbeats/ann.json",
        "claims/file-src%2Fapi.py.claim",
        "claims/droplet-shared.d/bob.claim",
        "claims/droplet-shared.d/eve.claim",
        f"messages/direct/bob/{waits.id}.json",
        f"messages/role/builder/{group.id}.json",
        f"messages/read/2025-11-15/bob/{read.seq:010}-{read.id}.json",
        f"messages/broadcast/2025-11-15/{to_all.seq:010}-{to_all.id}.json",
        f"handoffs/{offer.id}.json",
    } <= paths


def claim_path(kind: str, name: str, holder: str = "ann", mode: str = "exclusive") -> str:
    """Where a lease stands."""
    record = Claim.model_validate({
        "claimed_by": holder, "claimed_at": T0, "resource_type": kind, "resource_name": name, "mode": mode, "ttl_seconds": 300,
        "renewed_at": T0, "expires_at": T0, "fence": 1,
    })  # fmt: skip
    return tree.path_of("claims", record)


def test_type_and_name_never_run_into_each_other() -> None:
    assert claim_path("a", "b-c") != claim_path("a_b", "c")
    assert claim_path("a", "b/c") != claim_path("a", "b%2Fc")


WEIRD = [
    "..", ".", ".git", ".GIT", ".git.", "../../etc/passwd", "/etc/passwd", "a//b", "a/", "a\\b", "C:\\x", "CON", "con.txt", "nul",
    "trailing.", "trailing ", " leading", "file:stream", "-rf", "--help", "%", "%2F", "%25", "~", "a~b", "\u00e9", "e\u0301",
    "\U0001f642", "a\u200bb", "*", "?", "$(x)", "`x`", "a'b\"c", "<b>", "a&b", "a|b", "a.d", "a.claim", "a.d/b",
    "a.d//b", "a.claim//b", ".git//b", "..//b", "x" * 200,
    "x" * 201, "x" * 512, "/" * 300, "\u00e9" * 256, "x" * 150 + "%", "x" * 150 + "/", "x" * 149 + "/y" * 100,
    "x" * 149 + "/y" * 101,
]  # fmt: skip


@pytest.mark.parametrize("name", WEIRD, ids=lambda name: ascii(name[:24]))
def test_weird_name_is_one_plain_component_of_a_path(name: str) -> None:
    for mode in ("exclusive", "shared"):
        path = claim_path("file", name, mode=mode)
        assert re.fullmatch(r"[A-Za-z0-9._%~/-]+", path)
        parts = path.split("/")
        assert len(parts) == (2 if mode == "exclusive" else 3) + (name == "a//b")  # in a hub: the file b of the repository a
        assert not {"", ".", "..", ".git"} & {part.lower().rstrip(".") for part in parts}
        assert not parts[1].startswith((".", "-"))
        assert all(len(part.encode()) <= 255 for part in parts)


@pytest.mark.parametrize("name", [".", "..", ".git", ".GIT", ".x"])
def test_no_name_begins_with_a_dot(name: str) -> None:
    assert tree.encode_name(name) == "%2E" + name[1:]


def test_weird_names_have_different_paths() -> None:
    paths = [claim_path("file", name) for name in WEIRD] + [claim_path("file", name, mode="shared") for name in WEIRD]
    assert len(set(paths)) == len(paths)
    folders = {path.rpartition("/")[0] for path in paths}
    assert not folders & set(paths)  # a file and a folder of one name can't stand together


@given(resource_names, resource_names)
def test_names_and_paths_are_one_to_one(one: str, other: str) -> None:
    assert (claim_path("file", one) == claim_path("file", other)) is (one == other)


@pytest.mark.parametrize(("length", "readable"), [(200, True), (201, False)])
def test_name_over_two_hundred_bytes_is_a_prefix_and_a_hash(length: int, readable: bool) -> None:
    encoded = tree.encode_name("x" * length)
    assert (encoded == "x" * length) is readable
    assert encoded.startswith("x" * 100)
    assert len(encoded) <= 200


def test_lease_on_a_name_that_is_hashed_comes_back_with_its_name() -> None:
    story = Story.of("ann")
    name = "droplet:" + "n" * 300
    story.claim("ann", name)
    again = loaded(files_of(story.state), seq=story.state.seq)
    assert [str(one.resource) for one in again.claims.values()] == [name]


@pytest.mark.parametrize(
    ("path", "table"),
    [("gitcoord.json", "branch"), ("sessions/a.json", "sessions"), ("claims/x.d/a.claim", "claims"), ("waiting/3.json", "waiting"),
     ("messages/direct/a/b.json", "messages"), ("STATUS_BOARD.md", None), ("README.md", None), ("LICENSE", None),
     ("sessions.json", None), ("a/sessions/b.json", None), ("", None)],
)  # fmt: skip
def test_table_of_a_path(path: str, table: str | None) -> None:
    assert tree.table_of(path) == table


# --- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_record_has_the_fields_of_the_protocol_in_their_order(kind: type[Record]) -> None:
    names = [field.alias or name for name, field in kind.model_fields.items()]
    wanted = FIELDS[kind].split()
    assert set(wanted) <= set(names)
    assert [name for name in names if name in wanted] == wanted


def test_file_is_indented_json_in_the_order_of_the_record() -> None:
    story = full()
    for path, data in files_of(story.state).items():
        text = data.decode("utf-8")
        record = json.loads(text)
        assert text == json.dumps(record, indent=2, ensure_ascii=False) + "\n", path
        kind = type(tree.all_files(story.state)[path])
        assert list(record) == [field.alias or name for name, field in kind.model_fields.items()], path


def test_times_are_spelled_in_utc_with_z() -> None:
    record = json.loads(files_of(full().state)["sessions/ann.json"])
    assert record["started_at"] == record["last_heartbeat"] == "2025-11-15T10:00:00Z"


def test_message_says_from_and_to() -> None:
    note = Message(id="a", seq=1, sender="ann", to="bob", timestamp=T0)
    record = json.loads(tree.render(note))
    assert (record["from"], record["to"]) == ("ann", "bob")
    assert "sender" not in record


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | lines)
def test_nothing_that_hides_or_moves_text_stands_raw_in_a_file(text: str) -> None:
    note = Message(id="a", seq=1, sender="ann", to="bob", timestamp=T0, subject=text, message=text, details={text: text})
    spelled = tree.render(note).decode("utf-8")
    assert not UNSAFE.search(spelled.replace("\n", ""))
    record = json.loads(spelled)
    assert (record["subject"], record["message"], record["details"]) == (text, text, {text: text})
    # The layout is the one of Python's own json, whatever stands in the text.
    laid_out = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    if not UNSAFE.search(laid_out.replace("\n", "")):
        assert spelled == laid_out


def test_readable_characters_stand_as_they_are() -> None:
    note = Message(id="a", seq=1, sender="ann", to="bob", timestamp=T0, subject="caf\u00e9 \U0001f642")
    assert "caf\u00e9 \U0001f642" in tree.render(note).decode("utf-8")


# --- older and newer programs ------------------------------------------------------------------------------------------


def _with(data: bytes, **more: object) -> bytes:
    return (json.dumps({**json.loads(data), **more}, indent=2) + "\n").encode()


def test_unknown_fields_survive_a_rewrite() -> None:
    story = full()
    note = next(one for one in story.state.messages.values() if one.to == "bob")
    files = files_of(story.state)
    newer = {"weight": 3, "labels": ["a", {"b": None}]}
    for path in ("sessions/ann.json", "heartbeats/ann.json", "claims/file-src%2Fapi.py.claim", "gitcoord.json"):
        files[path] = _with(files[path], **newer)
    story.state = loaded(files, seq=story.state.seq)
    story.beat("ann", "testing")
    story.wait(hours(0.6)).beat("ann", "testing")
    story.setting("ann", "grace", "90s")
    again = files_of(story.state)
    for path in ("sessions/ann.json", "heartbeats/ann.json", "claims/file-src%2Fapi.py.claim", "gitcoord.json"):
        record = json.loads(again[path])
        assert {key: record[key] for key in newer} == newer, path
        assert list(record)[-2:] == list(newer), path
    assert note.id in story.state.messages


def test_unknown_fields_are_carried_on_as_they_are_spelled() -> None:
    """What this program can't hold exactly, it doesn't hold: a number of any size, a half fraction, a layout."""
    story = Story.of("ann")
    odd = '[1.50, 1e999, -0, 123456789012345678901234567890, {"a": "\\u0041",\n "b": {}}]'
    text = tree.render(story.state.rules).decode()
    text = text.replace('    "skip_ci": true', f'    "newer": {odd},\n    "skip_ci": true')
    text = f'{text.rstrip()[:-1].rstrip()},\n  "zz": {odd},\n  "hidden": "\u202e\\u202e"\n}}\n'
    story.state = loaded({**files_of(story.state), "gitcoord.json": text.encode()}, seq=story.state.seq)
    story.setting("ann", "grace", "90s")
    again = files_of(story.state)["gitcoord.json"]
    assert again.decode().count(odd) == 2
    assert b'"hidden": "\\u202e\\u202e"' in again
    record = tree.parse("branch", again)
    assert record is not None
    assert tree.render(record) == again


@pytest.mark.parametrize("where", ["record", "settings", "both"])
@pytest.mark.parametrize("filling", ["x", "\u202e", "\U000e0041", "1,"])
def test_unknown_fields_are_bounded_by_what_they_are_when_written_again(where: str, filling: str) -> None:
    """Else a record that one writer takes would be too large when the next one has written it."""

    def text(count: int) -> bytes:
        value = f"[{filling * count}1]" if filling == "1," else json.dumps(filling * count, ensure_ascii=False)
        branch = tree.render(BranchRecord(opened_at=T0)).decode()
        if where != "record":
            branch = branch.replace('"skip_ci"', f'"new": {value}, "skip_ci"')
        return (branch if where == "settings" else branch.replace('"format"', f'"new": {value}, "format"', 1)).encode()

    low, high = 0, 2 * tree.UNKNOWN_LIMIT
    assert tree.parse("branch", text(high)) is None
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if tree.parse("branch", text(middle)) else (low, middle)
    record = tree.parse("branch", text(low))
    assert record is not None
    again = tree.render(record)
    assert len(again) < 2 * tree.UNKNOWN_LIMIT
    assert tree.parse("branch", again) == record or filling in "\u202e\U000e0041"
    assert tree.parse("branch", again) is not None


def test_fields_that_the_format_does_not_name_do_not_count() -> None:
    for path, data in files_of(full().state).items():
        table = tree.table_of(path)
        assert table is not None
        mine, newer = tree.parse(table, data), tree.parse(table, _with(data, weight=3))
        assert mine is not None
        assert newer is not None
        assert mine != newer
        assert tree.same_meaning(mine, newer)
        assert tree.same_meaning(newer, mine)


def test_setting_that_the_format_does_not_name_does_not_count() -> None:
    """A newer program's settings stand inside the branch's record; its commits must stay good for an older reader."""
    mine = BranchRecord(opened_at=T0)
    record = json.loads(tree.render(mine))
    record["settings"]["capacity"] = 3
    newer = tree.parse("branch", json.dumps(record).encode())
    assert newer is not None
    assert tree.same_meaning(mine, newer)


@pytest.mark.parametrize("key", ["status", "started_at", "read_seq", "session_id", "capabilities"])
def test_fields_of_the_format_count(key: str) -> None:
    mine = Session(session_id="ann", started_at=T0, last_heartbeat=T0)
    changed: dict[str, Any] = {
        "status": "idle", "started_at": T0 + hours(1), "read_seq": 1, "session_id": "bob", "capabilities": ("x",),
    }  # fmt: skip
    assert not tree.same_meaning(mine, mine.model_copy(update={key: changed[key]}))
    assert tree.same_meaning(mine, mine.model_copy())


def test_records_of_two_kinds_never_mean_the_same() -> None:
    assert not tree.same_meaning(
        Heartbeat(session_id="ann", timestamp=T0), Session(session_id="ann", started_at=T0, last_heartbeat=T0)
    )


def test_records_as_the_tree_has_them_take_the_place_of_those_in_the_state() -> None:
    story = full()
    newer = tree.parse("sessions", _with(files_of(story.state)["sessions/ann.json"], weight=3))
    branch = tree.parse("branch", _with(files_of(story.state)["gitcoord.json"], weight=4))
    assert newer is not None
    assert branch is not None
    state = tree.replaced(story.state, {"sessions/ann.json": newer, "gitcoord.json": branch})
    assert state.sessions["ann"] is newer
    assert state.branch is branch
    assert state.sessions["bob"] == story.state.sessions["bob"]


# --- what is no record -------------------------------------------------------------------------------------------------

GOOD = tree.render(Session(session_id="ann", started_at=T0, last_heartbeat=T0))


def test_good_file_is_read() -> None:
    assert isinstance(tree.parse("sessions", GOOD), Session)


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"null", b"[]", b"1", b"{", b"{}", GOOD[:-10], GOOD + b"x", b"\xff\xfe", b"\xef\xbb\xbf" + GOOD,
     GOOD.decode().encode("utf-16"), b"[" * 100_000, b'{"a":' * 50_000, GOOD.replace(b'"ann"', b'"Ann"'),
     GOOD.replace(b'"ann"', b'"../x"'), GOOD.replace(b"10:00:00Z", b"10:00:60Z"), GOOD.replace(b"10:00:00Z", b"10:00:00"),
     GOOD.replace(b'"read_seq": 0', b'"read_seq": 1e999'), GOOD.replace(b'"read_seq": 0', b'"read_seq": NaN'),
     GOOD.replace(b'"read_seq": 0', b'"read_seq": ' + b"9" * 5000),
     GOOD.replace(b'"read_seq": 0', b'"read_seq": {}'), GOOD.replace(b'"ann"', b'"a\\ud800"'),
     *(GOOD.replace(b'"read_seq": 0', b'"read_seq": ' + odd) for odd in (b'"0"', b"0.0", b"-0", b"0e0", b"00", b"false", b"null",
     b"+0")),
     GOOD.replace(b'"read_seq": 0', b'"read_seq": 0, "read_seq": 0'),
     GOOD.replace(b'"read_seq": 0', b'"read_seq": 0, "x": 1, "x": 1'),
     GOOD.replace(b'"read_beyond": []', b'"read_beyond": {}'), GOOD.replace(b'"read_beyond": []', b'"read_beyond": null'),
     GOOD.replace(b'"session_id": "ann",', b""), GOOD.replace(b'"status": "active"', b"'status': \"active\""),
     *(_with(GOOD, x=1).replace(b'"x": 1', b'"x": ' + odd) for odd in (
         b"NaN", b"Infinity", b"-Infinity", b"01", b"1.", b".5", b"1e", b"0x1", b"9" * 65, b'"\\ud800"', b'"\\udc00\\ud800"',
         b'"\\x41"',
         b'"\\u00g0"', b'"\\u+123"', b'"\t"', b'{"a": 1, "a": 1}', b"[1,]", b"[1 2]", b"{1: 2}", b"[" * 32 + b"]" * 32, b"tru",
         b"/**/1",
         b"\xc2\xa01", b"1\x0c", b'"\xed\xa0\x80"'))],
    ids=lambda data: ascii(data[:16]),
)  # fmt: skip
def test_hostile_file_is_no_record(data: bytes) -> None:
    assert tree.parse("sessions", data) is None


def test_layout_and_fields_of_others_do_not_count() -> None:
    record = json.loads(GOOD)
    record["x"] = {"deep": [1.5, -1e400, "\U0001f642", None, [[[]]]]}
    del record["read_seq"]  # it is the default: an older program left it out
    for data in (
        json.dumps(record),
        json.dumps(record, indent="\t", ensure_ascii=False),
        json.dumps(dict(reversed(record.items()))),
    ):
        found = tree.parse("sessions", data.replace("-Infinity", "-1e400").encode())
        assert found is not None, data
        assert tree.same_meaning(found, Session(session_id="ann", started_at=T0, last_heartbeat=T0))


@given(
    st.recursive(st.none() | st.booleans() | st.integers(1 - 10**16,
    10**16 - 1) | st.text(st.characters(exclude_categories=("Cs",))),
                 lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
                 max_leaves=12),
    st.sampled_from((None, 2)), st.booleans(),
)  # fmt: skip
def test_plain_json_is_read_as_it_is(value: Any, indent: int | None, ascii_only: bool) -> None:
    assert strictjson.read(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize("table", ["waiting", "nothing", ""])
def test_file_of_no_table_is_no_record(table: str) -> None:
    assert tree.parse(table, GOOD) is None


# --- lazy messages -----------------------------------------------------------------------------------------------------


def test_messages_are_read_when_somebody_asks_and_all_at_once() -> None:
    story = Story.of("ann", "bob")
    keys = [story.send("ann", "bob", str(number)).id for number in range(20)]
    files = files_of(story.state)
    asked: list[Sequence[str]] = []

    def read(names: Sequence[str]) -> list[bytes | None]:
        asked.append([name for name in names if name.startswith("messages/")])
        return [files.get(name) for name in names]

    state = tree.load("", listing(files), read, seq=story.state.seq, at=T0)
    assert set(state.messages) == set(keys)
    assert len(state.messages) == 20
    assert keys[0] in state.messages
    assert asked == [[]]
    assert state.messages[keys[3]].subject == "3"
    assert [len(names) for names in asked] == [0, 1]
    assert {one.subject for one in state.messages.values()} == {str(number) for number in range(20)}
    assert [len(names) for names in asked] == [0, 1, 19]
    list(state.messages.items())
    assert sum(len(names) for names in asked) == 20


def test_message_that_is_not_there_is_a_key_error() -> None:
    state = loaded(files_of(full().state))
    with pytest.raises(KeyError):
        state.messages["nothing"]


# --- sizes -------------------------------------------------------------------------------------------------------------


def test_readme_tells_how_to_read_the_branch_with_git_alone() -> None:
    for word in ("git fetch origin coordination", "STATUS_BOARD.md", "git log", "gitcoord", "edit"):
        assert word in tree.README_TEXT
    assert len(tree.README_TEXT) < 4096

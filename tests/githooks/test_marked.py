"""Lines between marks in files that are another's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gitcoord.githooks import folder, lefthook, marked, shared

ROOT = Path(__file__).parents[2]
HUSKY_8 = b'#!/bin/sh\n. "$(dirname "$0")/_/husky.sh"\n\nnpm test\n'
FILES = [b"", b"#!/bin/sh", b"#!/bin/sh\n", b"one\ntwo", b"#!/bin/sh\n\xff\r\n\n", HUSKY_8]


@pytest.mark.parametrize("data", FILES)
@pytest.mark.parametrize("top", [True, False])
def test_lines_go_in_and_out_to_the_byte(data: bytes, top: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    path.chmod(0o640)
    lines = shared.lines("pre-commit")
    assert marked.put(path, lines, top=top) == "installed"
    inside = path.read_bytes()
    assert (marked.put(path, lines, top=top), marked.state(path)) == ("none", "installed")
    if top and b"husky.sh" in data:  # husky 8 runs the file a second time at that line
        assert inside.index(b"husky.sh") < inside.index(b"gitcoord") < inside.index(b"npm test")
    assert marked.put(path, shared.lines("pre-push"), top=top) == "updated"
    assert marked.take_out(path) == "removed"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (data, 0o640)
    assert marked.take_out(path) == "none"


def test_lines_that_somebody_changed_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    marked.put(path, shared.lines("pre-commit"))
    path.write_bytes(path.read_bytes().replace(b"--staged", b"--staged --mine"))
    before = path.read_bytes()
    assert marked.state(path) == "edited"
    assert (marked.put(path, shared.lines("pre-commit")), marked.take_out(path)) == ("none", "none")
    assert path.read_bytes() == before


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_every_shell_can_read_what_we_write(shell: str, tmp_path: Path) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} here")
    words = [found, "sh"] if shell == "busybox" else [found]
    folder.install(tmp_path / "hooks", common_dir=tmp_path, guard=True, trailers=True)
    for event in folder.ALL:
        (tmp_path / event).write_bytes(shared.lines(event))
    installed = [tmp_path / "hooks" / event for event in ("post-commit", "pre-commit", "commit-msg")]
    for path in [*(ROOT / "hooks").iterdir(), *installed, *(tmp_path / event for event in folder.ALL)]:
        done = subprocess.run([*words, "-n", str(path)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), path


def test_the_marks_of_lefthooks_commands_name_each_event(tmp_path: Path) -> None:
    (tmp_path / "info").mkdir()
    lefthook.install(str(tmp_path), tmp_path / "info" / "exclude", {"pre-push": "a", "post-merge": "b"}, ignored=False)
    assert lefthook.installed(str(tmp_path)) == {"pre-push", "post-merge"}
    assert "/lefthook-local.yml\n" in (tmp_path / "info" / "exclude").read_text()

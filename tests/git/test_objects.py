"""Objects are read by one child that gives contents and sizes, or by two where git is too old for that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from gits import git

from gitcoord.git.objects import Objects
from gitcoord.git.repo import Repository


@pytest.mark.parametrize("knows", [True, False], ids=["one child", "git before 2.36"])
def test_contents_and_sizes_are_those_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, knows: bool) -> None:
    git(tmp_path, "init", "--quiet", "repo")
    path = tmp_path / "repo"
    blobs = [git(path, "hash-object", "-w", "--stdin", stdin=text) for text in ("one\n", "and two\n")]
    if not knows:  # as an old git answers to what it doesn't know
        (tmp_path / "old").mkdir()
        old = tmp_path / "old" / "git"
        old.write_text(f'#!/bin/sh\ncase "$*" in *--batch-command*) exit 129;; esac\nexec {shutil.which("git")} "$@"\n')
        old.chmod(0o755)
        monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    with Objects(Repository.find(str(path), os.environ)) as objects:
        assert objects.read(blobs, 100) == [b"one\n", b"and two\n"]
        assert objects.read(blobs, 5) == [b"one\n", None]
        assert objects.sizes(blobs) == [("blob", 4), ("blob", 8)]

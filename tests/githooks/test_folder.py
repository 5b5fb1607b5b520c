"""Installing into a hooks folder, and leaving it as it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from gits import git

from gitcoord.errors import GitcoordError
from gitcoord.githooks import folder as hooks_folder
from gitcoord.githooks.folder import EVENTS, Hook

THEIRS = b"#!/bin/sh\necho theirs\n"


@pytest.fixture
def common(tmp_path: Path) -> Path:
    """The git folder of a new repository whose path has a blank and a quote."""
    top = tmp_path / "it's mine"
    top.mkdir()
    git(top, "init", "--quiet")
    return top / ".git"


@pytest.fixture
def folder(common: Path) -> Path:
    """Its hooks folder, with git's samples in it."""
    return common / "hooks"


def picture(folder: Path) -> dict[str, tuple[int, int, bytes | str]]:
    """Everything about each file that a rename keeps: mode, time, and bytes or link."""
    found = {}
    for path in folder.iterdir():
        stat = path.lstat()
        found[path.name] = (
            stat.st_mode,
            stat.st_mtime_ns,
            os.readlink(path) if path.is_symlink() else path.read_bytes(),
        )
    return found


def put(path: Path, data: bytes = THEIRS, mode: int = 0o755) -> Path:
    """Writes an old file with that mode."""
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, ns=(10**18 + 123, 10**18 + 123))
    return path


def install(common: Path, program: str = "") -> dict[str, Hook]:
    """Installs into the repository's own hooks folder."""
    return {hook.event: hook for hook in hooks_folder.install(common / "hooks", common_dir=common, program=program)}


def uninstall(common: Path) -> dict[str, Hook]:
    """Uninstalls from it."""
    return {hook.event: hook for hook in hooks_folder.uninstall(common / "hooks", common_dir=common)}


def test_every_byte_is_restored(common: Path, folder: Path, tmp_path: Path) -> None:
    put(folder / "post-commit", b"#!/bin/sh\n\xff\x00 no newline", 0o750)
    put(folder / "post-merge", mode=0o644)
    put(tmp_path / "elsewhere")
    (folder / "post-checkout").symlink_to("../../../elsewhere")
    (folder / "post-rewrite").symlink_to("nowhere")
    put(folder / "pre-commit")
    before = picture(folder)

    install(common)
    assert all(picture(folder)[f"{event}.before-gitcoord"] == before[event] for event in EVENTS)
    assert (folder / "post-checkout.before-gitcoord").resolve() == tmp_path / "elsewhere"
    hooks = uninstall(common)
    assert picture(folder) == before
    assert {hook.change for hook in hooks.values()} == {"restored"}
    assert {hook.state for hook in hooks.values()} == {"foreign"}


def test_an_empty_place_is_empty_again(common: Path, folder: Path) -> None:
    before = picture(folder)
    hooks = install(common)
    assert {(hook.state, hook.change, hook.kept) for hook in hooks.values()} == {("installed", "installed", None)}
    assert all(os.access(folder / event, os.X_OK) for event in EVENTS)
    assert {hook.change for hook in uninstall(common).values()} == {"removed"}
    assert picture(folder) == before
    assert {(hook.state, hook.change) for hook in uninstall(common).values()} == {("absent", "none")}


def test_the_second_installation_changes_nothing(common: Path, folder: Path) -> None:
    put(folder / "post-commit")
    install(common)
    before = picture(folder)
    hooks = install(common)
    assert {(hook.state, hook.change) for hook in hooks.values()} == {("installed", "none")}
    assert hooks["post-commit"].kept == folder / "post-commit.before-gitcoord"
    assert picture(folder) == before


def test_another_version_of_ours_is_replaced_and_can_be_taken_out(common: Path, folder: Path) -> None:
    before = picture(folder)
    install(common, "/old/gitcoord")
    other = picture(folder)
    assert {hook.change for hook in install(common, "/new/gitcoord").values()} == {"updated"}
    assert picture(folder) != other
    uninstall(common)
    assert picture(folder) == before


def test_an_edited_shim_is_neither_replaced_nor_deleted(common: Path, folder: Path) -> None:
    put(folder / "post-commit")
    install(common)
    shim = folder / "post-commit"
    shim.write_bytes(shim.read_bytes() + b"echo mine\n")
    edited = shim.read_bytes()

    assert install(common, "/new/gitcoord")["post-commit"].state == "edited"
    hook = uninstall(common)["post-commit"]
    assert (hook.state, hook.change, hook.kept) == ("edited", "none", folder / "post-commit.before-gitcoord")
    assert shim.read_bytes() == edited
    assert (folder / "post-commit.before-gitcoord").read_bytes() == THEIRS
    assert not (folder / "post-merge").exists()


def test_a_shim_copied_by_hand_is_not_deleted(common: Path, folder: Path) -> None:
    install(common)
    digested = (folder / "post-merge").read_bytes()
    plain = digested.replace(digested.splitlines()[1], b"# gitcoord hook 1")
    put(folder / "post-commit", plain)
    assert uninstall(common)["post-commit"].state == "edited"
    assert (folder / "post-commit").read_bytes() == plain


def test_a_hook_put_over_ours_stays_and_the_kept_one_is_named(common: Path, folder: Path) -> None:
    put(folder / "post-commit")
    install(common)
    put(folder / "post-commit", b"#!/bin/sh\n# newer\n")

    assert install(common)["post-commit"].state == "foreign"
    hook = uninstall(common)["post-commit"]
    assert (hook.state, hook.change) == ("foreign", "none")
    assert hook.path.read_bytes() == b"#!/bin/sh\n# newer\n"
    assert hook.kept is not None
    assert hook.kept.read_bytes() == THEIRS


def test_a_shim_that_somebody_deleted_leaves_no_hook_behind_lost(common: Path, folder: Path) -> None:
    put(folder / "post-commit")
    before = picture(folder)
    install(common)
    (folder / "post-commit").unlink()
    hook = uninstall(common)["post-commit"]
    assert (hook.change, hook.kept) == ("restored", None)
    assert picture(folder) == before


def test_a_shim_that_another_hook_manager_put_aside_is_found(common: Path, folder: Path) -> None:
    put(folder / "post-commit")
    install(common)
    (folder / "post-commit").rename(folder / "post-commit.legacy")
    put(folder / "post-commit", b"#!/bin/sh\n# a manager's\n")

    assert install(common)["post-commit"].state == "installed"
    assert not (folder / "post-commit").read_bytes().count(b"gitcoord")
    hook = uninstall(common)["post-commit"]
    assert (hook.change, hook.path) == ("restored", folder / "post-commit.legacy")
    assert hook.path.read_bytes() == THEIRS


def test_a_folder_made_for_the_hooks_goes_with_them(common: Path, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    install(common)
    assert folder.is_dir()
    uninstall(common)
    assert not folder.exists()


def test_a_folder_with_something_else_in_it_stays(common: Path, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    install(common)
    put(folder / "pre-push")
    uninstall(common)
    assert list(picture(folder)) == ["pre-push"]


def test_an_empty_folder_that_was_there_stays(common: Path, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    install(common)
    uninstall(common)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", ["tracked", "shared", "link", "null"])
def test_a_folder_that_others_share_is_refused(common: Path, folder: Path, tmp_path: Path, place: str) -> None:
    target = {"tracked": common.parent / ".husky", "shared": tmp_path / "hooks", "null": Path(os.devnull)}.get(place, folder)
    if place == "link":
        (common.parent / "scripts").mkdir()
        folder.rename(common / "hooks.old")
        folder.symlink_to("../scripts")
    elif place != "null":
        target.mkdir()
        put(target / "post-commit")
    with pytest.raises(GitcoordError, match=target.name) as caught:
        hooks_folder.install(target, common_dir=common)
    assert "gitcoord hook git post-commit" in caught.value.hint
    if place != "null":
        assert len(list(target.iterdir())) <= 1
        assert all(hook.state in {"foreign", "absent"} for hook in hooks_folder.status(target))


def test_a_folder_of_its_own_inside_the_git_folder_is_taken(common: Path) -> None:
    own = common / "my hooks"
    hooks_folder.install(own, common_dir=common)
    assert all(hook.state == "installed" for hook in hooks_folder.status(own) if hook.event in EVENTS)
    hooks_folder.uninstall(own, common_dir=common)
    assert not own.exists()


def test_shims_are_taken_out_though_the_hooks_folder_was_moved_since(common: Path, folder: Path, tmp_path: Path) -> None:
    put(folder / "post-commit")
    before = picture(folder)
    install(common)
    (tmp_path / "shared").mkdir()
    put(tmp_path / "shared" / "post-commit")
    changed = {hook.event: hook.change for hook in hooks_folder.uninstall(tmp_path / "shared", common_dir=common)}
    assert changed["post-commit"] == "restored"
    assert picture(folder) == before
    assert (tmp_path / "shared" / "post-commit").read_bytes() == THEIRS
    assert hooks_folder.uninstall(tmp_path / "missing", common_dir=common)


def test_the_program_is_quoted_for_the_shell(common: Path, folder: Path) -> None:
    program = '/opt/it\'s a $(place) `of` "mine"\\/gitcoord'
    install(common, program)
    line = next(line for line in (folder / "post-commit").read_text().splitlines() if line.startswith("GITCOORD_PROGRAM="))
    told = subprocess.run(["/bin/sh", "-c", f'{line}\nprintf %s "$GITCOORD_PROGRAM"'], capture_output=True, text=True, check=True)
    assert told.stdout == program


@pytest.mark.parametrize("program", ["gitcoord", "./gitcoord", "/a\nrm -rf b/gitcoord"])
def test_only_a_plain_absolute_program_is_recorded(common: Path, folder: Path, program: str) -> None:
    install(common, program)
    assert "\nGITCOORD_PROGRAM=''" in (folder / "post-commit").read_text()


def test_a_folder_that_cannot_be_used_is_told(common: Path, folder: Path) -> None:
    folder.rename(common / "away")
    folder.write_text("no folder")
    with pytest.raises(GitcoordError, match="hooks"):
        install(common)
    assert folder.read_text() == "no folder"


def test_a_hook_is_in_its_place_again_when_ours_could_not_be_written(
    common: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "post-commit")
    before = picture(folder)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(GitcoordError, match="No space left"):
        install(common)
    monkeypatch.undo()
    assert picture(folder) == before

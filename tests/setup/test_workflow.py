"""The workflow file that `install --workflow` writes, and what `uninstall` makes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gits import git

from gitcoord.connection.connect import connect
from gitcoord.errors import BadInput
from gitcoord.setup import workflow
from gitcoord.setup.steps import Wanted
from gitcoord.setup.workflow import WorkflowStep

TEXT = workflow.text("claude/* codex/*")


def test_it_is_yaml_that_starts_for_those_branches_and_may_only_write_contents() -> None:
    found = pytest.importorskip("yaml").safe_load(TEXT)
    assert found[True]["push"]["branches"] == ["claude/**", "codex/**"]  # YAML reads `on` as true
    assert found["permissions"] == {"contents": "write"}
    assert [step.get("run") for step in found["jobs"]["adopt"]["steps"]] == [None, "pipx run gitcoord sync"]


def test_it_is_written_once_and_taken_away_unless_somebody_changed_it(bare: Path, tmp_path: Path) -> None:
    top = str(tmp_path / "clone")
    git(tmp_path, "clone", "-q", str(bare), top)
    step = WorkflowStep(Wanted(top, os.environ, workflow=True))
    place = Path(top) / workflow.PLACE
    assert [line.will for line in step.plan()] == ["write"]
    assert step.do()[0] == f"wrote {workflow.PLACE}"
    assert step.do() == []
    with connect(top, os.environ) as found:
        assert workflow.state(top, workflow.text(found.coordinator.log.view().state.rules.settings.carry_from)) == "installed"
    assert step.undo() == [f"took away {workflow.PLACE}"]
    assert not place.parent.parent.exists()

    place.parent.mkdir(parents=True)
    place.write_text("name: theirs\n")
    assert [line.will for line in step.plan()] == ["nothing: it is not ours"]
    assert step.do() == step.undo() == []
    with pytest.raises(BadInput):
        workflow.write(top, TEXT)

"""The proof of a task: it runs as long as it takes, and its task stays held meanwhile."""

from __future__ import annotations

import pytest
from clones import Seat

from gitcoord.cli.commands import task
from gitcoord.core.task_cards import NewTask


def test_task_is_renewed_while_its_proof_runs(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, _ = pair
    monkeypatch.setattr(task, "RENEWED", 0.2)
    proof = f"until git -C '{ada.path}' log --format=%s origin/coordination | grep -q '^renew: task 1'; do :; done"
    with ada.here() as found:
        found.coordinator.tasks.add([NewTask(title="long")])
        found.coordinator.tasks.next()
        given = task._proved(found, proof, "1", anyway=False)
        assert (given["proof"], given["proof_exit"]) == (proof, 0)
